// The server's interface: OpenAI's chat completions with the extension "videorouter", uploads, videos and frames.

const KEY = "videorouter-key";
const pictures = new Map();
let wanted = () => {};

export const hasKey = () => sessionStorage.getItem(KEY) !== null;
export const setKey = key => { key ? sessionStorage.setItem(KEY, key) : sessionStorage.removeItem(KEY); };
export const onKeyWanted = then => { wanted = then; };
const headers = () => (hasKey() ? { Authorization: `Bearer ${sessionStorage.getItem(KEY)}` } : {});

// What the server refused, or what did not reach it: `message` is the server's own, `advice` says what to do about it.
export class Refused extends Error {
  constructor(message, status, advice) { super(message); Object.assign(this, { status, advice }); }
}

// An error as one text, with what to do about it.
export function sentence({ status, message, advice }) {
  return `${status ? `Refused (${status})` : "It failed"}: ${message}. ${advice ?? ""}`.trim();
}

function refused(status, text, retryAfter) {
  let message = "";
  try { message = String(JSON.parse(text).error.message); } catch { message = `the server answered ${status}`; }
  if (status === 401) wanted(hasKey());
  return new Refused(message, status, advice(status, retryAfter));
}

function advice(status, retryAfter) {
  if (status === 401) return "Enter a key at the top of this page, then ask again.";
  if (status === 413) return "Choose a shorter or smaller video, or ask for fewer frames.";
  if (status === 422) return "Choose another video, or convert this one to MP4 with H.264 first.";
  if (status === 429) return `Too many are asking: ask again in ${retryAfter || "a few"} s.`;
  if (status === 503) return "Something that the server needs is unavailable: ask again in a moment.";
  return status >= 500 ? "Ask again; if it fails again, the server's log says why." : null;
}

const UNREACHED = "Check that `videorouter serve` still runs and that you can reach it, then try again.";
const unreached = () => new Refused("the server did not answer", 0, UNREACHED);
const broken = () => new Refused("the answer broke off", 0, "Ask again; if it breaks off again, the server's log says why.");

async function asked(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
  } catch (error) {
    throw error.name === "AbortError" ? error : unreached();
  }
  if (!response.ok) throw refused(response.status, await response.text(), response.headers.get("Retry-After"));
  return response;
}

export const models = async () => (await (await asked("v1/models")).json()).data;
export const videos = async () => (await (await asked("videos")).json()).data;

// An address for <video> and <img>: where a key is needed, what it leads to is fetched with it.
export async function address(path) {
  if (!hasKey()) return path;
  if (!pictures.has(path)) {
    const fetched = asked(path).then(response => response.blob()).then(blob => URL.createObjectURL(blob));
    pictures.set(path, fetched);
    fetched.catch(() => pictures.delete(path));
  }
  return pictures.get(path);
}

// Sends a file; resolves to its id.
export function upload(file, onShare) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(), form = new FormData();
    form.append("purpose", "user_data");
    form.append("file", file, file.name);
    request.open("POST", "v1/files");
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = event => { if (event.lengthComputable) onShare(event.loaded / event.total); };
    request.onload = () => {
      if (request.status !== 200) reject(refused(request.status, request.responseText, request.getResponseHeader("Retry-After")));
      else resolve(JSON.parse(request.responseText).id);
    };
    request.onerror = () => reject(unreached());
    request.send(form);
  });
}

// The chunks of a streamed completion. Throws `Refused`, also for an error amid the stream, and for one that ends too early.
export async function* completion(body, signal) {
  const sent = { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" }, signal };
  const reader = (await asked("v1/chat/completions", sent)).body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw broken();
      text = (text + value).replaceAll("\r\n", "\n");
      const events = text.split("\n\n");
      text = events.pop();
      for (const data of events.map(dataOf).filter(Boolean)) {
        if (data === "[DONE]") return;
        const chunk = JSON.parse(data);
        if (chunk.error) throw new Refused(String(chunk.error.message), 0, advice(500));
        yield chunk;
      }
    }
  } catch (error) {
    if (error instanceof Refused || error.name === "AbortError") throw error;
    throw broken();
  } finally {
    reader.cancel().catch(() => {});
  }
}

const dataOf = event => event.split("\n").filter(line => line.startsWith("data:")).map(line => line.slice(5).trimStart()).join("\n");
