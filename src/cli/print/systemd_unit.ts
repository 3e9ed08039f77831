/**
 * The unit that runs a node under systemd: told when it is ready, watched, reloaded by its own command, given nothing it
 * does not need. `MemoryDenyWriteExecute` is left out because the engine compiles JavaScript to machine code.
 */
import type { PrintedNode } from "../print_command.ts";

/** Where the unit expects the executable. */
export const INSTALLED_PATH = "/usr/local/bin/landfall";

const STATE_FOLDER = "/var/lib/landfall";
/** What systemd allows beyond the times of the configuration before it kills a node that stops. */
const STOP_MARGIN_SECONDS = 30;
const PRIVILEGED_PORT_MAX = 1023;

/** `landfall print systemd` */
export function systemdUnit(node: PrintedNode): string {
  const { relay, listener, limits, spool } = node.config();
  const ports = [relay.port, relay.tlsPort, relay.internalPort].filter((port) => port !== null);
  const capability = ports.some((port) => port > 0 && port <= PRIVILEGED_PORT_MAX)
    ? "CAP_NET_BIND_SERVICE"
    : "";
  const stopSeconds = Math.ceil((listener.drainDelay + limits.shutdownTimeout) / 1000) + STOP_MARGIN_SECONDS;
  const outside = `${spool.envelopes.path}/`.startsWith(`${STATE_FOLDER}/`) ? [] : [spool.envelopes.path];
  const command = (words: string): string => `${INSTALLED_PATH} ${words} -c ${node.configDir}`;
  return `# Printed by \`landfall print systemd\`; goes to /etc/systemd/system/landfall.service.
[Unit]
Description=Landfall, point of presence for Sentry telemetry
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStartPre=${command("config check")}
ExecStart=${command("run")}
ExecReload=${command("config reload")}
WatchdogSec=30
Restart=always
RestartSec=1
# Exit codes of a wrong command line and of a wrong configuration: the next start would end the same way.
RestartPreventExitStatus=64 78
TimeoutStartSec=300
# listener.drain_delay + limits.shutdown_timeout, and some more.
TimeoutStopSec=${stopSeconds}
LimitNOFILE=1048576
OOMPolicy=stop

User=landfall
Group=landfall
UMask=0077
StateDirectory=landfall
StateDirectoryMode=0700
WorkingDirectory=${STATE_FOLDER}
${outside.map((path) => `ReadWritePaths=${path}\n`).join("")}
AmbientCapabilities=${capability}
CapabilityBoundingSet=${capability}
PrivateUsers=${capability === "" ? "yes" : "no"}
NoNewPrivileges=yes
KeyringMode=private
LockPersonality=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged

[Install]
WantedBy=multi-user.target
`;
}
