// Node's cluster with jsonwebtoken, a key object, and an API key; no grants, no rules, no audit.
'use strict';

const cluster = require('node:cluster');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const jwt = require('jsonwebtoken');

const env = process.env;

function serve() {
  const privateKey = crypto.createPrivateKey(fs.readFileSync(env.BENCH_PRIVATE_KEY));
  const authorization = Buffer.from(`Bearer ${env.BENCH_API_KEY}`);

  function isAllowed(request) {
    const given = Buffer.from(request.headers.authorization ?? '');
    return given.length === authorization.length && crypto.timingSafeEqual(given, authorization);
  }

  function answer(request, response, text) {
    if (!isAllowed(request)) {
      response.writeHead(401).end();
      return;
    }
    const body = JSON.parse(text);
    const claims = {
      'aws:channel-arn': env.BENCH_CHANNEL_ARN,
      'aws:viewer-id': body.viewer_id,
      exp: Math.floor(Date.now() / 1000) + body.ttl_seconds,
    };
    const token = jwt.sign(claims, privateKey, { algorithm: 'ES384', noTimestamp: true });
    const document = JSON.stringify({ playback_url: `${env.BENCH_PLAYLIST_URL}?token=${token}` });
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(document);
  }

  http
    .createServer((request, response) => {
      const parts = [];
      request.on('data', (part) => parts.push(part));
      request.on('end', () => answer(request, response, Buffer.concat(parts).toString()));
    })
    .listen({ fd: Number(env.BENCH_LISTENER) });
}

if (cluster.isPrimary) {
  for (let worker = 0; worker < Number(env.BENCH_WORKERS); worker += 1) cluster.fork();
} else {
  serve();
}
