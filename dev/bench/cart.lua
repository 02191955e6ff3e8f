-- For wrk: cart requests of many users. The first argument is the request: add, show, or touch, which removes nothing from
-- the cart of the next user, again and again in the order of their ids.
local what
local users = 500
local touched = 0
local skus = { 1002, 1003, 1004, 1005 }

function init(args)
  what = args[1]
  math.randomseed(os.time())
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  if what == "touch" then
    touched = touched + 1
    return wrk.format("DELETE", "/user/" .. 1000000 + touched .. "/cart/1003")
  end
  local user = math.random(users)
  if what == "add" then
    return wrk.format("POST", "/user/" .. user .. "/cart/" .. skus[math.random(#skus)], nil, '{"count":1}')
  end
  return wrk.format("GET", "/user/" .. user .. "/cart")
end

function done(summary, latency)
  io.write(string.format("answers=%d failed=%d seconds=%.2f p50_ms=%.2f p99_ms=%.2f\n",
    summary.requests, summary.errors.status + summary.errors.timeout + summary.errors.read + summary.errors.connect,
    summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
