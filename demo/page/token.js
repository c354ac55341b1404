// Read a playback token in the browser. A token is signed but not encrypted, so anyone who has it
// can read it.

/** Return the header, the payload and the three segments of a compact JWS (RFC 7515 §7.1). */
export function decode(token) {
  const segments = token.split(".");
  const [header, payload] = segments.map(fromBase64url);
  return { header: JSON.parse(header), payload: JSON.parse(payload), segments };
}

/** Return the playback URL without its token. */
export function withoutToken(playbackUrl) {
  const url = new URL(playbackUrl);
  url.searchParams.delete("token");
  return url.href;
}

/** Return the playback URL with a later `exp` in its token. The signature stays unchanged. */
export function withLaterExpiry(playbackUrl, seconds) {
  const url = new URL(playbackUrl);
  const { payload, segments } = decode(url.searchParams.get("token"));
  const altered = JSON.stringify({ ...payload, exp: payload.exp + seconds });
  url.searchParams.set("token", [segments[0], toBase64url(altered), segments[2]].join("."));
  return url.href;
}

function fromBase64url(segment) {
  const binary = atob(segment.replaceAll("-", "+").replaceAll("_", "/"));
  return new TextDecoder().decode(Uint8Array.from(binary, (letter) => letter.charCodeAt(0)));
}

function toBase64url(text) {
  const binary = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const timeFormat = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const formatTime = (unixSeconds) => timeFormat.format(new Date(unixSeconds * 1000));

const DESCRIPTIONS = {
  alg: () => "ECDSA on P-384 with SHA-384, the only algorithm that IVS accepts.",
  typ: () => "A JSON Web Token.",
  "aws:channel-arn": () => "The token is valid for this channel only.",
  exp: (value) => `Playback can start until ${formatTime(value)}. The value is in Unix seconds.`,
  "aws:viewer-id": () =>
    "Identifies the viewer, so that the viewer's sessions can be revoked. A token with this claim " +
    "must expire within ten minutes.",
  "aws:viewer-session-version": (value) =>
    `Issued at ${formatTime(value)}. A revocation ends the viewer's sessions up to a given version.`,
  "aws:access-control-allow-origin": () =>
    "In a browser, only pages from this origin can get the playlist.",
  "aws:strict-origin-enforcement": (value) =>
    value
      ? "Every request must come from such a page, including requests for video segments."
      : "Only the request for the first playlist must come from such a page.",
  "aws:single-use-uuid": () => "The token can start playback only once.",
  "aws:maximum-resolution": () => "The playlist contains no rendition above this resolution.",
};

/** Return a description of a header member or a claim, for the user. */
export function describe(name, value) {
  return DESCRIPTIONS[name]?.(value) ?? "IVS does not document this claim and ignores it.";
}
