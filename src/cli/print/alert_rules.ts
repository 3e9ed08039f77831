/**
 * Alert rules for Prometheus. Each says what it means for the clients, and where to look; a rule that needs no action is
 * none.
 */
export const ALERT_RULES = `groups:
  - name: landfall
    rules:
      - alert: LandfallNotReady
        expr: landfall_ready == 0
        for: 2m
        labels: { severity: critical }
        annotations:
          summary: "{{ $labels.instance }} takes no traffic"
          description: "GET /health on the admin listener names the probe that fails; landfall status shows it, too."
      - alert: LandfallDown
        expr: absent(landfall_build_info)
        for: 2m
        labels: { severity: critical }
        annotations:
          summary: "No Landfall node is being scraped"
          description: "Either no node runs, or its admin listener cannot be reached."
      - alert: LandfallUpstreamDown
        expr: landfall_upstream_outage > 0
        for: 5m
        labels: { severity: warning }
        annotations:
          summary: "{{ $labels.instance }} cannot reach its upstream"
          description: "Clients do not notice: records wait on disk. How long that goes on well is LandfallSpoolFillsUp's matter."
      - alert: LandfallSpoolFillsUp
        expr: predict_linear(landfall_spool_disk_bytes[30m], 4 * 3600) > landfall_spool_disk_bytes_max and landfall_spool_disk_bytes > 0.3 * landfall_spool_disk_bytes_max
        for: 10m
        labels: { severity: critical }
        annotations:
          summary: "The spool of {{ $labels.instance }} is full within four hours"
          description: "Then replays are refused first and errors last. Mend the upstream, or raise spool.envelopes.max_disk_size."
      - alert: LandfallSpoolSheds
        expr: sum by (instance) (rate(landfall_outcomes_total{outcome="rate_limited",reason=~"spool_full|spool_pressure"}[5m])) > 0
        for: 5m
        labels: { severity: critical }
        annotations:
          summary: "{{ $labels.instance }} refuses telemetry because its spool fills up"
          description: "Clients are told to wait, and drop what they cannot keep."
      - alert: LandfallDiskRefusesWrites
        expr: landfall_spool_unhealthy > 0
        for: 1m
        labels: { severity: critical }
        annotations:
          summary: "The disk of {{ $labels.instance }} refuses writes"
          description: "Clients get 503. See the log of room spool for the error of the system."
      - alert: LandfallDiskFailsReads
        expr: landfall_spool_unreadable_places > 0
        for: 5m
        labels: { severity: warning }
        annotations:
          summary: "The disk of {{ $labels.instance }} fails to read what waits"
          description: "It is kept and tried again; other records go on. See the log of room spool for where."
      - alert: LandfallBacklogDoesNotShrink
        expr: landfall_drain_seconds_left < 0 and landfall_upstream_outage == 0
        for: 30m
        labels: { severity: warning }
        annotations:
          summary: "The backlog of {{ $labels.instance }} does not shrink"
          description: "More comes in than the upstream takes. See landfall_forward_concurrency and the endpoints on the status page."
      - alert: LandfallRecordsOld
        expr: landfall_spool_oldest_record_age_seconds > 6 * 3600
        for: 10m
        labels: { severity: warning }
        annotations:
          summary: "A record waits on {{ $labels.instance }} for more than six hours"
          description: "Sentry may refuse events that are too old, and spool.envelopes.max_envelope_delay_secs drops them."
      - alert: LandfallSlowAnswers
        expr: histogram_quantile(0.99, sum by (instance, le) (rate(landfall_answer_duration_seconds_bucket[5m]))) > 0.25
        for: 10m
        labels: { severity: warning }
        annotations:
          summary: "{{ $labels.instance }} answers slowly"
          description: "Look at landfall_spool_commit_duration_seconds (disk), landfall_event_loop_delay_seconds (CPU) and landfall_pressure."
      - alert: LandfallManyRefusals
        expr: sum by (instance) (rate(landfall_requests_total{status=~"4..|5..",status!="429"}[10m])) > 0.2 * sum by (instance) (rate(landfall_requests_total[10m]))
        for: 15m
        labels: { severity: warning }
        annotations:
          summary: "{{ $labels.instance }} refuses more than a fifth of all requests"
          description: "landfall_outcomes_total says why by reason, landfall_guard_refused_requests_total what the guard refused."
      - alert: LandfallDeadLetters
        expr: increase(landfall_dead_letter_records_total[1h]) > 0
        labels: { severity: warning }
        annotations:
          summary: "The upstream of {{ $labels.instance }} refused records for good"
          description: "landfall spool ls --dead lists them with the reason; landfall spool requeue sends them again."
      - alert: LandfallLanesRestart
        expr: increase(landfall_worker_restarts_total[15m]) > 2
        labels: { severity: critical }
        annotations:
          summary: "Lanes of {{ $labels.instance }} keep dying"
          description: "The log of room lane has the reason."
      - alert: LandfallCertificateExpires
        expr: landfall_tls_certificate_expiry_seconds > 0 and landfall_tls_certificate_expiry_seconds < 7 * 86400
        for: 1h
        labels: { severity: warning }
        annotations:
          summary: "The certificate of {{ $labels.instance }} expires within a week"
          description: "A renewed file is taken into use by itself; check that it is renewed."
      - alert: LandfallConfigInvalid
        expr: increase(landfall_config_reloads_total{result="invalid"}[30m]) > 0
        labels: { severity: warning }
        annotations:
          summary: "{{ $labels.instance }} was given a configuration it does not take"
          description: "The old one stays in force. landfall config check names file, line and rule."
`;
