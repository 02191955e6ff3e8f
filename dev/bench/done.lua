-- For wrk scripts: prints the results on one line.
function done(summary, latency)
  io.write(string.format("answers=%d failed=%d seconds=%.2f p50_ms=%.3f p99_ms=%.3f\n",
    summary.requests, summary.errors.status + summary.errors.timeout + summary.errors.read + summary.errors.connect,
    summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
