// The providers' own clients for Node, asked by a test: a scenario a line on stdin, its result a line on stdout.
//
// {"client": "openai", "url": "http://127.0.0.1:7070", "method": "chat.completions.create", "body": {…},
//  "options": {"maxRetries": 2}, "leave": 3}
//
// `options` are the client's own. `leave`: the stream is left behind after so many events. The result is
// what a user of the client has in hand: `value` (whole, or what the client's helper put together of a stream),
// `text`, `tools`, `usage`, `stop` and `model` as they were collected of a stream's events, whose types are in
// `events`, `error` with the name of its class, the `headers` of the answer and its id as the client read it
// (`request`), and `fetches`: how many requests the client made of this one.

import { createInterface } from "node:readline";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const SECRET = "sk-caller";

function clientOf({ client, url, options }, fetching) {
  if (client === "openai") {
    return new OpenAI({ baseURL: `${url}/v1`, apiKey: SECRET, maxRetries: 0, fetch: fetching, ...options });
  }
  return new Anthropic({ baseURL: url, apiKey: SECRET, maxRetries: 0, fetch: fetching, ...options });
}

function called(client, method, body) {
  const names = method.split(".");
  const last = names.pop();
  const resource = names.reduce((at, name) => at[name], client);
  return body === null ? resource[last]() : resource[last](body);
}

const readers = {
  "chat.completions"(got, chunk) {
    got.model = chunk.model;
    if (chunk.usage) got.usage = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens];
    for (const { delta, finish_reason } of chunk.choices) {
      got.text += delta.content ?? "";
      got.stop = finish_reason ?? got.stop;
      for (const call of delta.tool_calls ?? []) {
        got.tools[call.index] ??= [call.function.name, ""];
        got.tools[call.index][1] += call.function.arguments ?? "";
      }
    }
  },
  messages(got, event) {
    if (event.type === "message_start") {
      got.model = event.message.model;
      got.usage = [event.message.usage?.input_tokens ?? 0, event.message.usage?.output_tokens ?? 0];
    } else if (event.type === "content_block_start" && event.content_block.type === "tool_use") {
      got.tools.push([event.content_block.name, ""]);
    } else if (event.type === "content_block_delta") {
      got.text += event.delta.text ?? "";
      if (event.delta.partial_json !== undefined) got.tools.at(-1)[1] += event.delta.partial_json;
    } else if (event.type === "message_delta") {
      got.stop = event.delta.stop_reason;
      got.usage = [event.usage?.input_tokens || got.usage[0], event.usage?.output_tokens ?? got.usage[1]];
    }
  },
  responses(got, event) {
    if (event.type === "response.output_text.delta") got.text += event.delta;
    if (event.response === undefined) return;
    const { model, usage, status } = event.response;
    [got.model, got.stop] = [model, status];
    if (usage) got.usage = [usage.input_tokens, usage.output_tokens];
  },
};

function readerOf(method) {
  const resource = method.slice(0, method.lastIndexOf("."));
  return readers[resource] ?? (() => {});
}

async function consumed(got, scenario, stream) {
  const read = readerOf(scenario.method);
  for await (const event of stream) {
    got.events.push(event.type ?? event.object ?? "");
    read(got, event);
    if (got.events.length === scenario.leave) break;
  }
}

function told(error) {
  const { status = 0, type = "", code = "", message } = error;
  return { class: error.constructor.name, status, type, code, message };
}

async function played(scenario) {
  const got = { text: "", model: "", stop: null, usage: null, tools: [], events: [], value: null, error: null };
  Object.assign(got, { headers: {}, request: "", fetches: 0 });
  const fetching = (...args) => {
    got.fetches += 1;
    return fetch(...args);
  };
  try {
    const call = called(clientOf(scenario, fetching), scenario.method, scenario.body);
    if (scenario.method.endsWith(".stream")) {
      await consumed(got, scenario, call);
      const last = ["finalChatCompletion", "finalMessage", "finalResponse"].find((name) => call[name]);
      got.value = await call[last]();
    } else if (call.withResponse === undefined) {
      got.value = await call;
    } else {
      const { data, response, request_id: request } = await call.withResponse();
      Object.assign(got, { headers: Object.fromEntries(response.headers), request });
      if (scenario.body?.stream) await consumed(got, scenario, data);
      else got.value = data;
    }
  } catch (error) {
    got.error = told(error);
    if (error.headers) got.headers = Object.fromEntries(error.headers);
    got.request = error.requestID ?? got.request;
  }
  return got;
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await played(JSON.parse(line))));
}
