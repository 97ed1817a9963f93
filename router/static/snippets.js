// What to type to do the same elsewhere.

/** A curl command for this clip with these options. */
export function curl({ origin, name, language, stream, hasKey }) {
  const words = ["curl"];
  if (stream) words.push("-N");
  words.push(`${origin}/v1/audio/transcriptions`);
  if (hasKey) words.push('-H "Authorization: Bearer $API_KEY"');
  words.push(`-F ${quoted(`file=@${name}`)}`);
  if (language) words.push(`-F ${quoted(`language=${language}`)}`);
  words.push(stream ? "-F stream=true" : "-F response_format=verbose_json");
  return words.join(" \\\n  ");
}

/** The same with OpenAI's Python client. */
export function python({ origin, name, language, stream, hasKey }) {
  const options = ['model="whisper-1"', "file=clip"];
  if (language) options.push(`language=${JSON.stringify(language)}`);
  options.push(stream ? "stream=True" : 'response_format="verbose_json"');
  const asked = `client.audio.transcriptions.create(${options.join(", ")})`;
  return [
    ...(hasKey ? ["import os", ""] : []),
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url="${origin}/v1", api_key=${hasKey ? 'os.environ["API_KEY"]' : '"any"'})`,
    `with open(${JSON.stringify(name)}, "rb") as clip:`,
    ...(stream ? [`    for event in ${asked}:`, "        print(event)"] : [`    print(${asked}.text)`]),
  ].join("\n");
}

function quoted(text) {
  return /^[\w@=./:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
