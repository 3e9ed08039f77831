/**
 * Opens a page of the admin listener in Chromium and does what it is told, one JSON object a line: `{see, within}` waits for
 * a text, `{shot, scheme, width, height}` takes a picture, `{signIn}` fills the form, `{text}` reads an element. Answers each
 * with a line; `errors` are those of the page's own console.
 */
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const { CHROMIUM, PAGE } = process.env;
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--no-sandbox"],
});
const page = await browser.newPage({
  viewport: { width: 1200, height: 900 },
});
const errors = [];
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
page.on("pageerror", (error) => errors.push(String(error)));
await page.goto(PAGE);
console.log(JSON.stringify({ opened: await page.title(), errors }));

const actions = {
  async see({ see, within }) {
    const began = performance.now();
    await page.waitForFunction((text) => document.body.innerText.includes(text), see, { timeout: within });
    return { ms: Math.round(performance.now() - began) };
  },
  async shot({ shot, scheme, width, height }) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height });
    await page.waitForTimeout(300);
    await page.screenshot({ path: shot, fullPage: true });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    await page.setViewportSize({ width: 1200, height: 900 });
    return { wide };
  },
  async signIn({ signIn }) {
    await page.fill("#token", signIn);
    await Promise.all([page.waitForNavigation(), page.click("button")]);
    return { title: await page.title(), cookie: await page.evaluate(() => document.cookie) };
  },
  async text({ text }) {
    return { text: await page.innerText(text) };
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  try {
    const answer = await actions[Object.keys(asked)[0]](asked);
    console.log(JSON.stringify({ ...answer, errors }));
  } catch (error) {
    console.log(JSON.stringify({ failed: String(error), errors, text: await page.innerText("body") }));
  }
}
await browser.close();
