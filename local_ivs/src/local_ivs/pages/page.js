// The overview page of Local IVS: fetches the state every two seconds and shows it in tables.

const REFRESH_MILLISECONDS = 2000;

const shown = {};

const element = (id) => document.getElementById(id);
const time = (timestamp) => timestamp.slice(11, 19);
const idOf = (arn) => arn.split("/")[1];
const regionAndAccountOf = (arn) => arn.split(":").slice(3, 5).join(" · ");
const good = (text) => ({ text, className: "good" });
const bad = (text) => ({ text, className: "bad" });
const code = (text) => ({ text, className: "code" });

const TABLES = {
  channels: {
    empty: "No channels yet. Create one with CreateChannel.",
    columns: {
      Channel: (channel) => channel.name || "unnamed",
      ID: (channel) => code(idOf(channel.arn)),
      "Region · account": (channel) => regionAndAccountOf(channel.arn),
      Access: (channel) => (channel.private ? "private" : "public"),
      Stream: (channel) =>
        channel.live_since ? good(`live since ${time(channel.live_since)}`) : "offline",
      Health: (channel) => channel.health ?? "",
      Viewers: (channel) => channel.viewers,
      "": (channel) => ({ button: channel.live_since ? "Take offline" : "Go live", channel }),
    },
  },
  "key-pairs": {
    empty: "No key pairs yet. Import one with ImportPlaybackKeyPair.",
    columns: {
      "Key pair": (pair) => pair.name || "unnamed",
      ID: (pair) => code(idOf(pair.arn)),
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
      Channel: (session) => code(idOf(session.channel_arn)),
      Viewer: (session) => session.viewer_id ?? "no viewer ID",
      "Session version": (session) => session.viewer_session_version,
      Started: (session) => time(session.created_at),
      "Expires if idle": (session) => time(session.expires_at),
    },
  },
  revocations: {
    empty: "No revoked viewers.",
    columns: {
      Channel: (revocation) => code(idOf(revocation.channel_arn)),
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
      Duration: (request) => `${request.milliseconds} ms`,
    },
  },
};

function createElement(tag, text = "", className = "") {
  const created = document.createElement(tag);
  created.textContent = text;
  created.className = className;
  return created;
}

function cellOf(value) {
  if (value?.button) {
    const cell = createElement("td");
    const button = createElement("button", value.button);
    button.type = "button";
    button.dataset.channel = value.channel.arn;
    button.addEventListener("click", () => setLive(value.channel));
    cell.append(button);
    return cell;
  }
  return value?.className
    ? createElement("td", value.text, value.className)
    : createElement("td", value);
}

function tableOf({ columns, empty }, items) {
  if (items.length === 0) return createElement("p", empty, "empty");
  const table = createElement("table");
  const head = table.createTHead().insertRow();
  for (const title of Object.keys(columns)) {
    const heading = createElement("th", title);
    heading.scope = "col";
    head.append(heading);
  }
  const body = table.createTBody();
  for (const item of items) {
    body.insertRow().append(...Object.values(columns).map((column) => cellOf(column(item))));
  }
  return table;
}

async function setLive({ arn, live_since }) {
  await fetch("/_local/streams", {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ channel_arn: arn, live: live_since === null }),
  });
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
  try {
    const response = await fetch("/_local/overview");
    if (!response.ok) throw new Error((await response.json()).exceptionMessage);
    show(await response.json());
    element("connection").textContent = "Running.";
    element("connection").className = "good";
  } catch (error) {
    element("connection").textContent = `Can't read the state of Local IVS: ${error.message}`;
    element("connection").className = "bad";
  }
}

element("setting").textContent = `AWS_ENDPOINT_URL_IVS=${location.origin}`;
for (;;) {
  await refresh();
  await new Promise((resolve) => setTimeout(resolve, REFRESH_MILLISECONDS));
}
