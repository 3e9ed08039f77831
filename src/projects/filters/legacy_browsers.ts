/**
 * `legacyBrowsers`: events of browsers nobody wants to hear of any more.
 *
 * Families are those of UA-parser, in which the mobile versions of browsers are families of their own and never legacy.
 * Source: control reference, section 7 ("Legacy browsers").
 */
import { UAParser } from "ua-parser-js";
import { EVERYTHING, type InboundFilter } from "./filter.ts";
import { userAgentOf } from "./user_agent.ts";

/** Family and major version of a browser. */
export interface Browser {
  readonly family: string;
  readonly major: number;
}

type Rule = readonly [family: string, isLegacy: (major: number) => boolean];

const upTo = (last: number) => (major: number): boolean => major <= last;
const below = (first: number) => (major: number): boolean => major < first;
const exactly = (version: number) => (major: number): boolean => major === version;

const RULES: Readonly<Record<string, Rule>> = {
  ie: ["IE", upTo(11)],
  ie_pre_9: ["IE", upTo(8)],
  ie9: ["IE", exactly(9)],
  ie10: ["IE", exactly(10)],
  ie11: ["IE", exactly(11)],
  edge: ["Edge", upTo(110)],
  edge_pre_79: ["Edge", below(79)],
  safari: ["Safari", upTo(15)],
  safari_pre_6: ["Safari", below(6)],
  firefox: ["Firefox", upTo(110)],
  chrome: ["Chrome", upTo(110)],
  opera: ["Opera", upTo(99)],
  opera_pre_15: ["Opera", below(15)],
  opera_mini: ["Opera Mini", upTo(34)],
  opera_mini_pre_8: ["Opera Mini", below(8)],
  android: ["Android", upTo(3)],
  android_pre_4: ["Android", below(4)],
};

/** Option `default`, which stands for these whatever else is chosen. */
const DEFAULT: readonly Rule[] = [
  ["IE", below(10)],
  ["Safari", below(6)],
  ["Opera", below(15)],
  ["Android", below(4)],
  ["Opera Mini", below(8)],
];

/** Matches browsers that one of the options calls legacy; unknown options never match. */
export function legacyBrowsers(options: readonly string[]): InboundFilter {
  const rules = options.includes("default") ? DEFAULT : options.flatMap((option) => {
    const rule = Object.hasOwn(RULES, option) ? RULES[option] : undefined;
    return rule ? [rule] : [];
  });
  return {
    reason: "legacy-browsers",
    isReading: true,
    kinds: EVERYTHING,
    matches(subject) {
      const agent = userAgentOf(subject);
      const browser = subject.part?.browser ?? (agent === null ? null : browserOf(agent));
      return browser !== null &&
        rules.some(([family, isLegacy]) => family === browser.family && isLegacy(browser.major));
    },
  };
}

const HAS_MOBILE_FAMILY: ReadonlySet<string> = new Set(["Chrome", "Firefox", "Edge", "Opera"]);
/** Longest user agent that is looked at, as long ones take long. */
const CHARACTERS_MAX = 500;

let lastAgent = "";
let lastBrowser: Browser | null = null;

/** The browser that a user agent names, in UA-parser's terms; `null` when it names none with a numeric version. */
export function browserOf(agent: string): Browser | null {
  if (agent === lastAgent) return lastBrowser;
  const { name, major } = new UAParser(agent.slice(0, CHARACTERS_MAX)).getBrowser();
  lastAgent = agent;
  return lastBrowser = named(agent, name ?? "", major ?? "");
}

function named(agent: string, name: string, major: string): Browser | null {
  // UA-parser knows Android's own browser by the version of the system.
  if (name === "Android Browser") return numbered("Android", /Android (\d+)/.exec(agent)?.[1] ?? "");
  if (name === "IEMobile") return numbered("IE", major);
  const isMobile = HAS_MOBILE_FAMILY.has(name) && /\b(?:Mobile|Tablet|EdgA|EdgiOS|FxiOS|CriOS)\b/.test(agent);
  return numbered(isMobile ? `${name} Mobile` : name, major);
}

function numbered(family: string, major: string): Browser | null {
  return family !== "" && /^\d+$/.test(major) ? { family, major: Number(major) } : null;
}
