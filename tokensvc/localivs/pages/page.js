// Local IVS's page: reads the overview every two seconds and shows it in tables.

const REFRESH_MILLISECONDS = 2000;

const shown = {};

const element = (id) => document.getElementById(id);
const time = (moment) => moment.slice(11, 19);
const idOf = (arn) => arn.split("/")[1];
const placeOf = (arn) => arn.split(":").slice(3, 5).join(" · ");
const good = (text) => ({ text, look: "good" });
const bad = (text) => ({ text, look: "bad" });
const code = (text) => ({ text, look: "code" });

const TABLES = {
  channels: {
    empty: "None yet: CreateChannel makes one.",
    columns: {
      Channel: (channel) => channel.name || "unnamed",
      ID: (channel) => code(idOf(channel.arn)),
      "Region · account": (channel) => placeOf(channel.arn),
      Access: (channel) => (channel.private ? "private" : "public"),
      Stream: (channel) =>
        channel.live_since ? good(`live since ${time(channel.live_since)}`) : "offline",
      Health: (channel) => channel.health ?? "",
      Viewers: (channel) => channel.viewers,
      "": (channel) => ({ button: channel.live_since ? "Take offline" : "Go live", channel }),
    },
  },
  "key-pairs": {
    empty: "None yet: ImportPlaybackKeyPair brings one.",
    columns: {
      "Key pair": (pair) => pair.name || "unnamed",
      ID: (pair) => code(idOf(pair.arn)),
      "Region · account": (pair) => placeOf(pair.arn),
      Fingerprint: (pair) => code(pair.fingerprint),
      "At the edge": (pair) => {
        if (pair.deleted) return bad("deleted, accepted for a while");
        return pair.accepted_at_the_edge ? good("accepted") : "on its way";
      },
    },
  },
  sessions: {
    empty: "Nobody is watching.",
    columns: {
      Channel: (session) => code(idOf(session.channel_arn)),
      Viewer: (session) => session.viewer_id ?? "no viewer ID",
      Version: (session) => session.viewer_session_version,
      Began: (session) => time(session.created_at),
      "Ends when idle until": (session) => time(session.expires_at),
    },
  },
  revocations: {
    empty: "No viewer has been revoked.",
    columns: {
      Channel: (revocation) => code(idOf(revocation.channel_arn)),
      Viewer: (revocation) => revocation.viewer_id,
      "Versions up to": (revocation) => revocation.versions_up_to,
      At: (revocation) => time(revocation.revoked_at),
    },
  },
  faults: {
    empty: "None is planned.",
    columns: {
      Operation: (fault) => (fault.operation === "*" ? "any" : fault.operation),
      Fault: (fault) => bad(fault.error || fault.kind.replace("_", " ")),
      Seconds: (fault) => fault.seconds,
      Times: (fault) => fault.times,
    },
  },
  requests: {
    empty: "None yet.",
    columns: {
      At: (request) => time(request.at),
      Request: (request) => code(`${request.method} ${request.what}`),
      "Region · account": (request) =>
        request.region ? `${request.region} · ${request.account_id}` : "",
      Status: (request) => (request.status < 400 ? good(request.status) : bad(request.status)),
      Error: (request) => request.error,
      Took: (request) => `${request.milliseconds} ms`,
    },
  },
};

function make(tag, text = "", look = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = look;
  return made;
}

function cellOf(value) {
  if (value?.button) {
    const cell = make("td");
    const button = make("button", value.button);
    button.type = "button";
    button.dataset.channel = value.channel.arn;
    button.addEventListener("click", () => setLive(value.channel));
    cell.append(button);
    return cell;
  }
  return value?.look ? make("td", value.text, value.look) : make("td", value);
}

function tableOf({ columns, empty }, items) {
  if (items.length === 0) return make("p", empty, "empty");
  const table = make("table");
  const head = table.createTHead().insertRow();
  for (const title of Object.keys(columns)) {
    const heading = make("th", title);
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
    // A table that is as it was stays, so that a reader's selection in it stays too.
    if (shown[id] === JSON.stringify(items)) continue;
    shown[id] = JSON.stringify(items);
    element(id).replaceChildren(tableOf(table, items));
  }
  if (focused) document.querySelector(`[data-channel="${focused}"]`)?.focus();
  const moved = overview.offset_seconds ? `, moved by ${overview.offset_seconds} s` : "";
  element("now").textContent = `${overview.now.slice(0, 19).replace("T", " ")} UTC${moved}`;
}

async function refresh() {
  try {
    const answer = await fetch("/_local/overview");
    if (!answer.ok) throw new Error((await answer.json()).exceptionMessage);
    show(await answer.json());
    element("connection").textContent = "Running.";
    element("connection").className = "good";
  } catch (error) {
    element("connection").textContent = `Not running: ${error.message}.`;
    element("connection").className = "bad";
  }
}

element("setting").textContent = `AWS_ENDPOINT_URL_IVS=${location.origin}`;
for (;;) {
  await refresh();
  await new Promise((resolve) => setTimeout(resolve, REFRESH_MILLISECONDS));
}
