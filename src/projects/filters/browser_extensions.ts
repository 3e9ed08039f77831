/** `browserExtensions`: errors thrown by what is not the page's own. Source: control reference, section 7. */
import { exceptionsOf, type JsonRecord } from "../condition_field.ts";
import { EVENTS, type InboundFilter } from "./filter.ts";

const VALUES = anyOf([
  "top.GLOBALS",
  "originalCreateNotification",
  "canvas.contentDocument",
  "MyApp_RemoveAllHighlights",
  "http://tt.epicplay.com",
  "Can't find variable: ZiteReader",
  "jigsaw is not defined",
  "ComboSearch is not defined",
  "http://loading.retry.widdit.com/",
  "atomicFindClose",
  "fb_xd_fragment",
  "bmi_SafeAddOnload",
  "EBCallBackMessageReceived",
  "_gCrWeb",
  "conduitPage",
  "null is not an object (evaluating 'elt.parentNode')",
  "plugin.setSuspendState is not a function",
  "Extension context invalidated",
  "webkit-masked-url:",
  "can't access dead object",
]);

const SOURCES = anyOf([
  "graph.facebook.com",
  "connect.facebook.net",
  "eatdifferent.com.woopra-ns.com",
  "static.woopra.com/js/woopra.js",
  "webkit-masked-url",
  "127.0.0.1:4001/isrunning",
  "webappstoolbarba.texthelp.com/",
  "metrics.itunes.apple.com.edgesuite.net/",
  "kaspersky-labs.com",
]);
const SCHEMES = /^(?:chrome|chrome-extension|moz-extension|safari-extension|safari-web-extension):\/\//i;

/** Matches the first exception by its value or by where it was thrown. */
export const browserExtensions: InboundFilter = {
  reason: "browser-extensions",
  isReading: true,
  kinds: EVENTS,
  matches({ event }) {
    const first = event && exceptionsOf(event)?.[0];
    if (typeof first !== "object" || first === null) return false;
    const { value } = first as JsonRecord;
    if (typeof value === "string" && VALUES.test(value)) return true;
    const source = sourceOf(first as JsonRecord);
    return source !== null && (SOURCES.test(source) || SCHEMES.test(source));
  },
};

/** Where the exception was thrown: the last frame that has a place. */
function sourceOf({ stacktrace }: JsonRecord): string | null {
  const frames = (stacktrace as JsonRecord | null | undefined)?.frames;
  if (!Array.isArray(frames)) return null;
  const path = frames.map((frame: JsonRecord | null) => frame?.abs_path ?? frame?.filename).findLast((path) =>
    typeof path === "string" && path !== "<anonymous>" && path !== "[native code]"
  );
  return typeof path === "string" ? path : null;
}

function anyOf(texts: readonly string[]): RegExp {
  return new RegExp(texts.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "i");
}
