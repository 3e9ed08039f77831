/** The status page in a real Chromium: calm, through an outage, on a phone, and behind a token. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { findChromium } from "../support/chromium_client.ts";
import { type NodeFixture, startNode } from "../support/node_fixture.ts";
import { PageBrowser } from "../support/page_browser.ts";
import { postEvent } from "../support/post_event.ts";
import { report } from "../support/report.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";

const PHONE_WIDTH = 390;
const OUTPUT = new URL("../output/status_page/", import.meta.url).pathname;
/** What the page may take to show an outage that the node has met. */
const SHOWN_WITHIN_MS = 2000;

const chromium = await findChromium();
if (chromium === null) report("The status page is not tested: no Chromium here (CHROMIUM names one)");
const options = { ignore: chromium === null };

/** Sends some events a second, a few of them refused, until it is disposed of. */
function traffic({ url }: NodeFixture): AsyncDisposable {
  let isOver = false;
  const sending = (async () => {
    for (let i = 0; !isOver; i++) {
      await postEvent(url, { projectId: 1 + i % 4 });
      if (i % 10 === 0) {
        const answer = await fetch(`${url}/api/1/envelope/?sentry_key=nonsense`, {
          method: "POST",
          body: "x",
        });
        await answer.body?.cancel();
      }
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      isOver = true;
      await sending;
    },
  };
}

Deno.test(
  "status page: what happens is seen as it happens, an outage within two seconds",
  options,
  async (t) => {
    await Deno.mkdir(OUTPUT, { recursive: true });
    await using upstream = ScriptedUpstream.start();
    await using node = await startNode({ upstream: upstream.url, config: { "logging.level": "off" } });
    await using sending = traffic(node);
    await using page = await PageBrowser.open(`http://127.0.0.1:${node.node.adminPort}/`, chromium!);
    await page.see("taking traffic, upstream answers");
    await page.see("Busiest projects");
    await new Promise((resolve) => setTimeout(resolve, 4000));
    await t.step("calm: traffic, refusals, endpoints and projects", async () => {
      assertStringIncludes(await page.text("#endpoints"), `127.0.0.1:${upstream.port}`);
      assertStringIncludes(await page.text("#refusals"), "envelope");
      for (const project of ["1", "2", "3", "4"]) assertStringIncludes(await page.text("#projects"), project);
      assert(
        /accepted \d+(\.\d)?\/s/.test(await page.text("#traffic-legend")),
        await page.text("#traffic-legend"),
      );
      assertEquals(await page.shot(`${OUTPUT}calm-light.png`, "light", 1200), 1200);
      assertEquals(await page.shot(`${OUTPUT}calm-dark.png`, "dark", 1200), 1200);
      assertEquals(await page.shot(`${OUTPUT}calm-phone.png`, "light", PHONE_WIDTH), PHONE_WIDTH);
    });
    await t.step("outage: shown in time, and its end", async () => {
      await upstream.down();
      const took = await page.see("upstream failing", SHOWN_WITHIN_MS);
      report(`the status page showed the outage after ${took} ms`);
      await new Promise((resolve) => setTimeout(resolve, 3000));
      await page.shot(`${OUTPUT}outage-light.png`, "light", 1200);
      await page.shot(`${OUTPUT}outage-dark.png`, "dark", 1200);
      assertEquals(await page.shot(`${OUTPUT}outage-phone.png`, "dark", PHONE_WIDTH), PHONE_WIDTH);
      upstream.up();
      await page.see("taking traffic, upstream answers", 20_000);
    });
    void sending;
  },
);

Deno.test(
  "status page: with a token a browser signs in, and its cookie is out of reach",
  options,
  async () => {
    await using upstream = ScriptedUpstream.start();
    const token = "the-token-of-this-test";
    await using node = await startNode({ upstream: upstream.url, config: { "admin.token": token } });
    const url = `http://127.0.0.1:${node.node.adminPort}/`;
    await using page = await PageBrowser.open(url, chromium!);
    await page.see("Token of the admin listener");
    const wrong = await page.signIn("guess");
    assertEquals(wrong.title, "Landfall: sign in");
    await page.see("That is not the token.");
    const { cookie } = await page.signIn(token);
    assertEquals(cookie, "");
    await page.see("taking traffic, upstream answers");
  },
);
