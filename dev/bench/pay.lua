-- For wrk: pays orders over the REST gateway of loms, each once. The arguments are the first and the last id on each shard.
local next_id = {}
local last_id = {}
local turn = 1

function init(args)
  for shard = 1, 2 do
    next_id[shard] = tonumber(args[2 * shard - 1])
    last_id[shard] = tonumber(args[2 * shard])
  end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  turn = 3 - turn
  if next_id[turn] > last_id[turn] then
    turn = 3 - turn
  end
  local id = next_id[turn]
  next_id[turn] = id + 1000
  return wrk.format(nil, string.format("/v1/orders/%d/pay", id), nil, "{}")
end

dofile("dev/bench/done.lua")
