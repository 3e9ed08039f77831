/** Entry of an ingest half's worker. */
import { ingestHalf } from "./ingest_half.ts";
import { runInWorker } from "./worker_entry.ts";

runInWorker(ingestHalf);
