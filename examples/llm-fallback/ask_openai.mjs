// Asks a model each line of its input, first for a whole answer, then for a streamed one, by OpenAI's own client.
//
// echo "Are you there?" | OPENAI_BASE_URL=http://127.0.0.1:7070/v1 OPENAI_API_KEY=any node ask_openai.mjs
//
// Nothing here knows of a sidecar but `told`, which shows what its headers say. A line for each answer:
// HOW UPSTREAM/MODEL ATTEMPTS REQUEST-ID TEXT.

import { createInterface } from "node:readline";
import OpenAI from "openai";

const client = new OpenAI(); // reads OPENAI_BASE_URL and OPENAI_API_KEY

const asked = (question) => ({ model: "gpt-4o", messages: [{ role: "user", content: question }] });

const told = ({ headers }) => {
  const say = (name) => headers.get(`x-sidecar-${name}`);
  return `${say("upstream")}/${say("model")} ${say("attempts")} ${say("request-id")}`;
};

async function whole(question) {
  const { data, response } = await client.chat.completions.create(asked(question)).withResponse();
  return `${told(response)} ${data.choices[0].message.content}`;
}

async function stream(question) {
  const { data, response } = await client.chat.completions.create({ ...asked(question), stream: true }).withResponse();
  let text = "";
  for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? "";
  return `${told(response)} ${text}`;
}

for await (const line of createInterface({ input: process.stdin })) {
  for (const ask of [whole, stream]) {
    const answer = await ask(line.trim()).catch((error) => `failed - - ${error}`);
    console.log(ask.name, answer);
  }
}
