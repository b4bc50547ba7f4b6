// What the server is asked. A token comes in the address after the #, and is kept for this tab.

const inAddress = () => new URLSearchParams(location.hash.slice(1));
const given = inAddress();
if (given.get("token")) {
  sessionStorage.setItem("token", given.get("token"));
  given.delete("token");
  history.replaceState(null, "", given.size ? `#${given}` : location.pathname);
}

// the address that was printed, opened in a tab where the page is: the browser loads nothing by itself
addEventListener("hashchange", () => inAddress().get("token") && location.reload());

/** Something that was asked for later came first. */
export class GaveWay extends Error {}

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

function request(method, path, body, signal) {
  const headers = {};
  const token = sessionStorage.getItem("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  if (method !== "GET") headers["Content-Type"] = "application/json";
  const text = body === undefined ? undefined : JSON.stringify(body);
  return fetch(`api/${path}`, { method, headers, body: text, signal });
}

async function answered(method, path, body, signal) {
  let found;
  try {
    found = await request(method, path, body, signal);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("the server cannot be reached; is it still running?", 0);
  }
  if (found.ok) return found;
  const why = await found.json().catch(() => ({}));
  throw new Refused(why.error || `the server answered ${found.status}`, found.status);
}

/** One answer, as JSON. */
export async function call(method, path, body, signal) {
  return (await answered(method, path, body, signal)).json();
}

/** A file and its name. */
export async function file(path) {
  const found = await answered("GET", path);
  const name = /filename="([^"]+)"/.exec(found.headers.get("content-disposition") || "");
  return { blob: await found.blob(), name: name ? name[1] : "designs" };
}

/** A drawing: `onFrame` sees its frames, and what was made is returned once it is on disk. */
export async function draw(path, body, onFrame, signal) {
  const found = await answered("POST", path, body, signal);
  const reader = found.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Refused("the drawing was broken off", 0);
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/s.exec(event);
      const values = JSON.parse(data);
      if (name === "frame") onFrame(values);
      else if (name === "made") return values;
      else throw name === "cancelled" ? new GaveWay(values.error) : new Refused(values.error, 422);
    }
  }
}
