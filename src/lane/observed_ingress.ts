/** The way in of a lane, with a look at what passes: which projects send. */
import { bytesLength } from "../core/bytes.ts";
import type { Clock } from "../core/clock.ts";
import type {
  Ingress,
  LargeSubmission,
  PassthroughSubmission,
  Screened,
  Submission,
} from "../listener/ingress.ts";
import type { EnvelopeItem } from "../protocol/envelope.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import type { LargeUpload } from "../spool/large_upload.ts";
import type { SpoolError } from "../spool/spool_error.ts";
import type { TopProjects } from "../telemetry/top_projects.ts";

/** {@link Ingress} that notes for each submission whose it was and whether it was taken. */
export class ObservedIngress implements Ingress {
  constructor(
    private readonly inner: Ingress,
    private readonly top: TopProjects,
    private readonly clock: Clock,
  ) {}

  submit(submission: Submission): Promise<readonly RateLimit[]> {
    const { meta: { projectId }, body } = submission;
    return this.#noted(projectId, bytesLength(body), this.inner.submit(submission));
  }

  submitLarge(submission: LargeSubmission): Promise<readonly RateLimit[]> {
    return this.#noted(submission.meta.projectId, 0, this.inner.submitLarge(submission));
  }

  submitPassthrough(submission: PassthroughSubmission): Promise<readonly RateLimit[]> {
    const { meta: { projectId }, body } = submission;
    return this.#noted(projectId, body.length, this.inner.submitPassthrough(submission));
  }

  openLarge(): Promise<LargeUpload> {
    return this.inner.openLarge();
  }

  screen(sender: Screened, items: readonly EnvelopeItem[]): void {
    this.inner.screen(sender, items);
  }

  unspooled(
    error: SpoolError,
    sender: Pick<Screened, "key" | "projectId">,
    items: readonly EnvelopeItem[],
  ): readonly RateLimit[] {
    return this.inner.unspooled(error, sender, items);
  }

  projectIdOf(key: string): string | null {
    return this.inner.projectIdOf(key);
  }

  async #noted(
    projectId: string,
    bytes: number,
    submitted: Promise<readonly RateLimit[]>,
  ): Promise<readonly RateLimit[]> {
    try {
      const limits = await submitted;
      this.top.note(projectId, limits.length === 0, bytes, this.clock.now());
      return limits;
    } catch (error) {
      this.top.note(projectId, false, bytes, this.clock.now());
      throw error;
    }
  }
}
