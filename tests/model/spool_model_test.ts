/** A bounded run of the spool's model; `deno task model` is the longer one. */
import { FOUND_SEQUENCES } from "./found_sequences.ts";
import { checkSpoolModel } from "./spool_model.ts";

Deno.test("spool model: no sequence loses, repeats, invents or keeps a record", async () => {
  await checkSpoolModel({ runs: 400, found: FOUND_SEQUENCES });
});
