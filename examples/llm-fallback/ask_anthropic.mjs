// Asks a model each line of its input, first for a whole answer, then for a streamed one, by Anthropic's own client.
//
// echo "Are you there?" | ANTHROPIC_BASE_URL=http://127.0.0.1:7070 ANTHROPIC_API_KEY=any node ask_anthropic.mjs
//
// Nothing here knows of a sidecar but `told`, which shows what its headers say. A line for each answer:
// HOW UPSTREAM/MODEL ATTEMPTS REQUEST-ID TEXT.

import { createInterface } from "node:readline";
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic(); // reads ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY

const asked = (question) => ({
  model: "claude-sonnet-5-5",
  max_tokens: 1024,
  messages: [{ role: "user", content: question }],
});

const told = ({ headers }) => {
  const say = (name) => headers.get(`x-sidecar-${name}`);
  return `${say("upstream")}/${say("model")} ${say("attempts")} ${say("request-id")}`;
};

async function whole(question) {
  const { data, response } = await client.messages.create(asked(question)).withResponse();
  return `${told(response)} ${data.content.map((block) => block.text ?? "").join("")}`;
}

async function stream(question) {
  const { data, response } = await client.messages.create({ ...asked(question), stream: true }).withResponse();
  let text = "";
  for await (const event of data) {
    if (event.type === "content_block_delta" && event.delta.type === "text_delta") text += event.delta.text;
  }
  return `${told(response)} ${text}`;
}

for await (const line of createInterface({ input: process.stdin })) {
  for (const ask of [whole, stream]) {
    const answer = await ask(line.trim()).catch((error) => `failed - - ${error}`);
    console.log(ask.name, answer);
  }
}
