-- wrk's request: the body that every server gets, and the result as one JSON line.
wrk.method = "POST"
wrk.body = os.getenv("BENCH_BODY")
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_API_KEY")

function done(summary, latency, _requests)
  local errors = summary.errors
  print(string.format(
    'BENCH {"requests": %d, "microseconds": %d, "p50_microseconds": %d, "p99_microseconds": %d, '
      .. '"refused": %d, "socket_errors": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
