// What to type to do the same elsewhere.

/** What stands before a snippet whose clip was never a file. */
export const RECORDED = "# recording.wav: put the name of a file of yours here";

/** A curl command for this clip with these options; `before` is a line that makes or explains the file, or empty. */
export function curl({ origin, before, name, language, stream, hasKey }) {
  const words = [before ? `${before}\ncurl` : "curl"];
  if (stream) words.push("-N");
  words.push(`${origin}/v1/audio/transcriptions`);
  if (hasKey) words.push('-H "Authorization: Bearer $API_KEY"');
  words.push(`-F ${quoted(`file=@${name}`)}`);
  if (language) words.push(`-F ${quoted(`language=${language}`)}`);
  words.push(stream ? "-F stream=true" : "-F response_format=verbose_json");
  return words.join(" \\\n  ");
}

/** The same with OpenAI's Python client. */
export function python({ origin, before, name, language, stream, hasKey }) {
  const options = ['model="whisper-1"', "file=clip"];
  if (language) options.push(`language=${JSON.stringify(language)}`);
  options.push(stream ? "stream=True" : 'response_format="verbose_json"');
  const asked = `client.audio.transcriptions.create(${options.join(", ")})`;
  return [
    ...(before ? [before.startsWith("#") ? before : `# ${before}`] : []),
    ...(hasKey ? ["import os", ""] : []),
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url="${origin}/v1", api_key=${keyOf(hasKey)})`,
    `with open(${JSON.stringify(name)}, "rb") as clip:`,
    ...(stream ? [`    for event in ${asked}:`, "        print(event)"] : [`    print(${asked}.text)`]),
  ].join("\n");
}

/** The command that gives a microphone to `livePython`, saved as live.py. */
export const liveCommand = "arecord -q -f S16_LE -r 24000 -c 1 -t raw | python live.py";

/** Live text with OpenAI's Python client, from 24 kHz 16-bit mono on its standard input. */
export function livePython({ origin, language, hasKey }) {
  const input = JSON.stringify({ transcription: { model: "whisper-1", language: language || undefined } });
  return [
    `import asyncio, base64, ${hasKey ? "os, " : ""}sys`,
    "from openai import AsyncOpenAI  # pip install 'openai[realtime]'",
    "",
    "client = AsyncOpenAI(",
    `    base_url="${origin}/v1", websocket_base_url="${origin.replace(/^http/, "ws")}/v1", api_key=${keyOf(hasKey)}`,
    ")",
    "",
    "async def speak(connection):",
    "    while piece := await asyncio.to_thread(sys.stdin.buffer.read, 4800):",
    "        await connection.input_audio_buffer.append(audio=base64.b64encode(piece).decode())",
    "",
    "async def main():",
    '    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:',
    `        await connection.session.update(session={"type": "transcription", "audio": {"input": ${input}}})`,
    "        speaking = asyncio.create_task(speak(connection))",
    "        async for event in connection:",
    '            if event.type == "conversation.item.input_audio_transcription.completed":',
    "                print(event.transcript, flush=True)",
    "",
    "asyncio.run(main())",
  ].join("\n");
}

function keyOf(hasKey) {
  return hasKey ? 'os.environ["API_KEY"]' : '"any"';
}

function quoted(text) {
  return /^[\w@=./:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
