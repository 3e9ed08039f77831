/** Sending one small event to a node, as an SDK would. */
import { TEST_KEY } from "./node_process.ts";

/** What was sent and how it was answered. */
export interface PostedEvent {
  readonly eventId: string;
  readonly status: number;
  readonly headers: Headers;
}

/** Options of {@link postEvent}. */
export interface PostOptions {
  readonly key?: string;
  readonly projectId?: number;
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Posts an envelope with one event of about a kilobyte. @throws TypeError when no answer comes. */
export async function postEvent(
  baseUrl: string,
  { key = TEST_KEY, projectId = 1, signal, headers = {} }: PostOptions = {},
): Promise<PostedEvent> {
  const eventId = crypto.randomUUID().replaceAll("-", "");
  const answer = await fetch(`${baseUrl}/api/${projectId}/envelope/?sentry_key=${key}&sentry_version=7`, {
    method: "POST",
    headers,
    body: `{"event_id":"${eventId}","sdk":{"name":"test","version":"1"}}\n{"type":"event"}\n${PAYLOAD}\n`,
    ...(signal ? { signal } : {}),
  });
  await answer.body?.cancel();
  return { eventId, status: answer.status, headers: answer.headers };
}

const PAYLOAD = JSON.stringify({ message: "hello", level: "error", extra: { padding: "x".repeat(900) } });
