/** Entry of a forward half's worker. */
import { forwardHalf } from "./forward_half.ts";
import { runInWorker } from "./worker_entry.ts";

runInWorker(forwardHalf);
