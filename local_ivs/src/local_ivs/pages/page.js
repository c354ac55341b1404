// The overview page of Local IVS: fetches the state every two seconds and shows it in tables.

const REFRESH_MILLISECONDS = 2000;

const shown = {};

const element = (id) => document.getElementById(id);
const time = (timestamp) => timestamp.slice(11, 19);
const idOf = (arn) => arn.split("/")[1];
const regionAndAccountOf = (arn) => arn.split(":").slice(3, 5).join(" · ");
const nameOf = (channel) => channel.name || "unnamed";
const good = (text) => ({ text, className: "good" });
const bad = (text) => ({ text, className: "bad" });
const code = (text) => ({ text, className: "code" });
const id = (text) => ({ text, className: "code short" });
const short = (text) => ({ text, className: "short" });

const TABLES = {
  channels: {
    empty: "No channels yet. Create one with CreateChannel.",
    columns: {
      Channel: nameOf,
      ID: (channel) => id(idOf(channel.arn)),
      "Region · account": (channel) => regionAndAccountOf(channel.arn),
      Access: (channel) => (channel.private ? "private" : "public"),
      Stream: (channel) =>
        channel.live_since ? good(`live since ${time(channel.live_since)}`) : "offline",
      Health: (channel) => channel.health ?? "",
      Viewers: (channel) => channel.viewers,
      Action: (channel) => ({ button: channel.live_since ? "Take offline" : "Go live", channel }),
    },
  },
  "key-pairs": {
    empty: "No key pairs yet. Import one with ImportPlaybackKeyPair.",
    columns: {
      "Key pair": (pair) => pair.name || "unnamed",
      ID: (pair) => id(idOf(pair.arn)),
      "Region · account": (pair) => regionAndAccountOf(pair.arn),
      Fingerprint: (pair) => code(pair.fingerprint),
      "At the edge": (pair) => {
        if (pair.deleted) return bad("deleted, still accepted for some seconds");
        return pair.accepted_at_the_edge ? good("accepted") : "not accepted yet";
      },
    },
  },
  sessions: {
    empty: "No playback sessions.",
    columns: {
      Channel: (session) => id(idOf(session.channel_arn)),
      Viewer: (session) => session.viewer_id ?? "no viewer ID",
      "Session version": (session) => session.viewer_session_version,
      Started: (session) => time(session.created_at),
      "Expires if idle": (session) => time(session.expires_at),
    },
  },
  revocations: {
    empty: "No revoked viewers.",
    columns: {
      Channel: (revocation) => id(idOf(revocation.channel_arn)),
      Viewer: (revocation) => revocation.viewer_id,
      "Session versions up to": (revocation) => revocation.versions_up_to,
      Revoked: (revocation) => time(revocation.revoked_at),
    },
  },
  faults: {
    empty: "No planned faults.",
    columns: {
      Operation: (fault) => (fault.operation === "*" ? "any" : fault.operation),
      Fault: (fault) => bad(fault.error || fault.kind.replace("_", " ")),
      "Delay (s)": (fault) => fault.seconds,
      "Times left": (fault) => fault.times,
    },
  },
  requests: {
    empty: "No requests yet.",
    columns: {
      Time: (request) => time(request.at),
      Request: (request) => code(`${request.method} ${request.what}`),
      "Region · account": (request) =>
        request.region ? `${request.region} · ${request.account_id}` : "",
      Status: (request) => (request.status < 400 ? good(request.status) : bad(request.status)),
      Error: (request) => request.error,
      Duration: (request) => short(`${request.milliseconds} ms`),
    },
  },
};

// The roles are the elements' own. Safari drops them from a table whose rows are blocks.
function createElement(tag, properties = {}, ...children) {
  const created = Object.assign(document.createElement(tag), properties);
  created.append(...children);
  return created;
}

function cellOf(label, value) {
  const cell = createElement("td", { role: "cell", className: value?.className ?? "" });
  cell.dataset.label = label;
  cell.append(value?.button ? liveButton(value) : String(value?.text ?? value ?? ""));
  return cell;
}

function liveButton({ button: text, channel }) {
  const ariaLabel = `${text}: ${nameOf(channel)}`;
  const button = createElement("button", { type: "button", ariaLabel }, text);
  button.dataset.channel = channel.arn;
  button.addEventListener("click", () => setLive(channel));
  return button;
}

function rowOf(...cells) {
  return createElement("tr", { role: "row" }, ...cells);
}

function tableOf({ columns, empty }, items) {
  if (items.length === 0) return createElement("p", { className: "empty" }, empty);
  const headings = Object.keys(columns).map((title) =>
    createElement("th", { role: "columnheader", scope: "col" }, title),
  );
  const rows = items.map((item) =>
    rowOf(...Object.entries(columns).map(([title, column]) => cellOf(title, column(item)))),
  );
  return createElement(
    "table",
    { role: "table" },
    createElement("thead", { role: "rowgroup" }, rowOf(...headings)),
    createElement("tbody", { role: "rowgroup" }, ...rows),
  );
}

async function setLive(channel) {
  const live = channel.live_since === null;
  const done = await answerOf("/_local/streams", {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ channel_arn: channel.arn, live }),
  });
  if (done) element("changed").textContent = `${nameOf(channel)} is ${live ? "live" : "offline"}.`;
  await refresh();
}

function show(overview) {
  for (const channel of overview.channels) {
    const watching = overview.sessions.filter((session) => session.channel_arn === channel.arn);
    channel.viewers = watching.length;
  }
  const focused = document.activeElement?.dataset.channel;
  for (const [id, table] of Object.entries(TABLES)) {
    const items = overview[id.replace("-", "_")];
    // Don't replace an unchanged table: the user may have selected text in it.
    if (shown[id] === JSON.stringify(items)) continue;
    shown[id] = JSON.stringify(items);
    element(id).replaceChildren(tableOf(table, items));
  }
  if (focused) document.querySelector(`[data-channel="${focused}"]`)?.focus();
  const offset = overview.offset_seconds ? `, clock offset ${overview.offset_seconds} s` : "";
  element("now").textContent = `${overview.now.slice(0, 19).replace("T", " ")} UTC${offset}`;
}

async function refresh() {
  const overview = await answerOf("/_local/overview");
  if (overview) show(overview);
}

/** Return the answer of Local IVS, or show why there is none. */
async function answerOf(path, options) {
  try {
    const response = await fetch(path, options);
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.exceptionMessage);
    showConnection("running", "Running");
    return answer;
  } catch (error) {
    showConnection("failed", `Local IVS does not answer: ${error.message}`);
    return null;
  }
}

function showConnection(state, text) {
  const connection = element("connection");
  connection.dataset.state = state;
  // Screen readers would say an equal text once more.
  if (connection.textContent !== text) connection.textContent = text;
}

element("setting").textContent = `AWS_ENDPOINT_URL_IVS=${location.origin}`;
for (;;) {
  await refresh();
  await new Promise((resolve) => setTimeout(resolve, REFRESH_MILLISECONDS));
}
