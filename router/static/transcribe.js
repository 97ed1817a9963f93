// One request to /v1/audio/transcriptions, whole or as server-sent events.

import { eventsOf } from "./events.js";
import { keyHeaders } from "./key.js";

/** The fleet said no; `message` is its own sentence, `status` and `code` are from its envelope. */
export class Refused extends Error {
  constructor(status, error, retryAfter) {
    super(retryAfter ? `${error.message} Try again in ${retryAfter} s.` : error.message);
    this.status = status;
    this.code = error.code;
  }
}

/**
 * Send a clip. Resolves to {answer, facts}: the answer's JSON (verbose_json, or {text} of a stream) and how it went.
 * `onDelta(text)` is called for each piece of a stream. Rejects with Refused, AbortError or TypeError (no connection).
 */
export async function transcribe(file, { language, stream, signal, onDelta }) {
  const body = new FormData();
  body.append("model", "whisper-1");
  if (language) body.append("language", language);
  if (stream) body.append("stream", "true");
  else {
    body.append("response_format", "verbose_json");
    body.append("timestamp_granularities[]", "segment");
    body.append("timestamp_granularities[]", "word");
  }
  body.append("file", file, file.name);
  const started = performance.now();
  const answer = await fetch("/v1/audio/transcriptions", { method: "POST", body, headers: keyHeaders(), signal });
  if (!answer.ok) throw await refusal(answer);
  const said = stream ? await readEvents(answer, onDelta) : await answer.json();
  return { answer: said, facts: factsOf(answer.headers, performance.now() - started) };
}

/** What an answer that is no success says, as Refused. */
export async function refusal(answer) {
  const fallback = { message: `The server answered ${answer.status}.`, code: "unknown" };
  const { error } = await answer.json().catch(() => ({ error: fallback }));
  return new Refused(answer.status, error ?? fallback, answer.headers.get("Retry-After"));
}

async function readEvents(answer, onDelta) {
  for await (const event of eventsOf(answer)) {
    if (event.error) throw new Refused(200, event.error);
    if (event.type === "transcript.text.delta") onDelta(event.delta);
    if (event.type === "transcript.text.done") return { text: event.text };
  }
  throw new Error("The stream ended before the transcript did.");
}

const STAGES = { queue: "Queue", decode: "Decode", engine: "Engine" };

function factsOf(headers, tookMs) {
  const timing = headers.get("Server-Timing") ?? ""; // absent where a stream began before a worker was found
  const spent = [...timing.matchAll(/(\w+);dur=([\d.]+)/g)].filter(([, name]) => name in STAGES);
  return {
    Took: lasting(tookMs),
    ...Object.fromEntries(spent.map(([, name, ms]) => [STAGES[name], lasting(Number(ms))])),
    Worker: headers.get("X-Fleet-Worker"),
    Attempts: headers.get("X-Fleet-Attempts"),
    Ignored: headers.get("X-Fleet-Ignored"),
    Request: headers.get("X-Request-Id"),
  };
}

/** Milliseconds for people. */
export function lasting(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
