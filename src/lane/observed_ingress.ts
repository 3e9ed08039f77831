/** The way in of a lane, with a look at what passes: which projects send, and what taps want to see. */
import { bytesLength, fromUtf8 } from "../core/bytes.ts";
import type { Clock } from "../core/clock.ts";
import type {
  Ingress,
  LargeSubmission,
  PassthroughSubmission,
  Screened,
  Submission,
} from "../listener/ingress.ts";
import type { EnvelopeHeaders, EnvelopeItem } from "../protocol/envelope.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import { RequestError } from "../protocol/request_error.ts";
import type { RequestMeta } from "../protocol/request_meta.ts";
import type { LargeUpload } from "../spool/large_upload.ts";
import type { SpoolError } from "../spool/spool_error.ts";
import type { TapEvent, TappedItem } from "../telemetry/tap_event.ts";
import type { TopProjects } from "../telemetry/top_projects.ts";
import type { LaneTap } from "./lane_tap.ts";

/** Of an item, how much of its payload a tap shows. */
const PAYLOAD_BYTES_MAX = 64 * 1024;

/** A submission as far as it is looked at. */
interface Looked {
  readonly meta: { readonly projectId: string; readonly key: string; readonly eventId: string | null };
  readonly bytes: number;
  readonly headers: EnvelopeHeaders;
  readonly items: readonly EnvelopeItem[];
  /** What the items' offsets count in; null when it is not held. */
  readonly decoded: Uint8Array | null;
}

/** {@link Ingress} that notes for each submission whose it was and whether it was taken. */
export class ObservedIngress implements Ingress {
  constructor(
    private readonly inner: Ingress,
    private readonly top: TopProjects,
    private readonly tap: LaneTap,
    private readonly clock: Clock,
  ) {}

  submit(submission: Submission): Promise<readonly RateLimit[]> {
    const { meta, envelope: { headers, items, bytes: decoded }, body } = submission;
    const looked = { meta, bytes: bytesLength(body), headers, items, decoded };
    return this.#observed(looked, () => this.inner.submit(submission));
  }

  submitLarge(submission: LargeSubmission): Promise<readonly RateLimit[]> {
    const { meta, envelope: { headers, items }, body } = submission;
    const looked = { meta, bytes: body.bytes, headers, items, decoded: null };
    return this.#observed(looked, () => this.inner.submitLarge(submission));
  }

  submitPassthrough(submission: PassthroughSubmission): Promise<readonly RateLimit[]> {
    const { meta, body } = submission;
    const bytes = body instanceof Uint8Array ? body.length : body.bytes;
    const looked = { meta, bytes, headers: {}, items: [], decoded: null };
    return this.#observed(looked, () => this.inner.submitPassthrough(submission));
  }

  openLarge(): Promise<LargeUpload> {
    return this.inner.openLarge();
  }

  screen(sender: Screened, items: readonly EnvelopeItem[]): void {
    this.inner.screen(sender, items);
  }

  unspooled(
    error: SpoolError,
    meta: Pick<RequestMeta, "key" | "projectId" | "quantities">,
  ): readonly RateLimit[] {
    return this.inner.unspooled(error, meta);
  }

  projectIdOf(key: string): string | null {
    return this.inner.projectIdOf(key);
  }

  async #observed(
    looked: Looked,
    submit: () => Promise<readonly RateLimit[]>,
  ): Promise<readonly RateLimit[]> {
    const startedMs = this.tap.isOn ? this.clock.monotonic() : 0;
    try {
      const limits = await submit();
      this.top.note(looked.meta.projectId, limits.length === 0, looked.bytes, this.clock.now());
      const limit = limits[0];
      if (this.tap.isOn) {
        this.#show(looked, startedMs, limit ? "rate_limited" : "accepted", limit?.reason ?? null);
      }
      return limits;
    } catch (error) {
      this.top.note(looked.meta.projectId, false, looked.bytes, this.clock.now());
      const reason = error instanceof RequestError ? error.reason : null;
      if (this.tap.isOn) this.#show(looked, startedMs, "invalid", reason);
      throw error;
    }
  }

  #show(
    { meta: { projectId, key, eventId }, headers, items, decoded }: Looked,
    startedMs: number,
    outcome: (TapEvent & { stage: "answered" })["outcome"],
    reason: string | null,
  ): void {
    const { clock, tap } = this;
    let chars = 0;
    const shown = items.map((item): TappedItem => {
      const { payloadStart: start, payloadEnd: end } = item;
      const about = { type: item.type.type, bytes: end - start, headers: item.headers };
      if (decoded === null || !tap.wantsBodies) return about;
      const payload = fromUtf8(decoded.subarray(start, Math.min(end, start + PAYLOAD_BYTES_MAX)));
      chars += payload.length;
      return { ...about, payload };
    });
    tap.offer({
      stage: "answered",
      lane: tap.lane,
      atMs: clock.now(),
      project: projectId,
      key,
      event: eventId,
      outcome,
      reason,
      tookMs: startedMs === 0 ? 0 : clock.monotonic() - startedMs,
      headers,
      items: shown,
    }, chars);
  }
}
