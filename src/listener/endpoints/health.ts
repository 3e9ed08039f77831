/** GET of the health routes: ingestion reference, section 1.4. */
import { jsonAnswer } from "../answer.ts";
import type { Endpoint } from "../routes.ts";

/** What a listener can be asked about its node. */
export interface Health {
  isLive(): boolean;
  isReady(): boolean;
}

const HEALTHY = jsonAnswer(200, `{"is_healthy":true}`);
const UNHEALTHY = jsonAnswer(503, `{"is_healthy":false}`);

/** Endpoint that tells the result of one check. */
export function healthEndpoint(isHealthy: () => boolean): Endpoint {
  return () => isHealthy() ? HEALTHY : UNHEALTHY;
}
