// Server-sent events of an answer that was fetched: EventSource could carry no key.

/** The data of each event, parsed, until the answer ends; OpenAI's `[DONE]` is left out. */
export async function* eventsOf(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    yield* events.flatMap(dataOf);
  }
}

function dataOf(event) {
  return event
    .split("\n")
    .filter((line) => line.startsWith("data: ") && line !== "data: [DONE]")
    .map((line) => JSON.parse(line.slice(6)));
}
