/** `webCrawlers`: events caused by robots, by their user agent. Source: control reference, section 7 ("Crawlers"). */
import { EVERYTHING, type InboundFilter } from "./filter.ts";
import { userAgentOf } from "./user_agent.ts";

const CRAWLERS = new RegExp(
  [
    "Mediapartners-Google",
    "AdsBot-Google",
    "Googlebot",
    "FeedFetcher-Google",
    "Storebot-Google",
    "BingBot",
    "BingPreview",
    "Baiduspider",
    "Slurp",
    "Sogou",
    "facebook",
    "meta-",
    "ia_archiver",
    "bots?(?:[/\\s);]|$)",
    "spider(?:[/\\s);]|$)",
    "Slack",
    "Calypso AppCrawler",
    "pingdom",
    "lyticsbot",
    "AWS Security Scanner",
    "HubSpot Crawler",
    "Bytespider",
    "Better Uptime",
    "Cloudflare-Healthchecks",
    "GTmetrix",
    "BrightEdgeOnCrawl",
    "ELB-HealthChecker",
    "naver\\.me/spd",
    "ClaudeBot",
    "CCBot",
    "OAI-SearchBot",
    "GPTBot",
    "PerplexityBot",
    "Applebot",
    "DuckDuckBot",
  ].join("|"),
  "i",
);
const EXEMPT = /Slackbot\s1\.\d+|SentryUptimeBot|ChatGPT-User/i;

/** Matches what robots cause. */
export const webCrawlers: InboundFilter = {
  reason: "web-crawlers",
  isReading: true,
  kinds: EVERYTHING,
  matches(subject) {
    const { part } = subject;
    // A browser that a client named stands for its user agent where it did not send that.
    const agent = part?.userAgent ?? part?.browser?.family ?? userAgentOf(subject);
    return agent !== null && CRAWLERS.test(agent) && !EXEMPT.test(agent);
  },
};
