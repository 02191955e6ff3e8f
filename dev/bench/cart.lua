-- For wrk: cart requests of many users. The first argument is the request:
--   add   adds a piece to the cart of a random user
--   show  shows the cart of a random user
--   fill  adds a piece to the cart of one user after the other
--   touch removes nothing from the cart of one user after the other, who all have an empty cart
--   checkout orders the cart of one user after the other
-- The second argument is how many users there are, 500 without it. The third is how many users "touch" skips.
local what
local users
local touched = 0
local skus = { 1002, 1003, 1004, 1005 }

function init(args)
  what = args[1]
  users = tonumber(args[2]) or 500
  touched = tonumber(args[3]) or 0
  math.randomseed(os.time())
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  if what == "touch" then
    touched = touched + 1
    return wrk.format("DELETE", "/user/" .. 1000000 + touched .. "/cart/1003")
  end
  if what == "checkout" then
    touched = touched + 1
    return wrk.format("POST", "/cart/checkout", nil, '{"user":' .. touched .. '}')
  end
  local user = math.random(users)
  if what == "fill" then
    user = touched % users + 1
    touched = touched + 1
  end
  if what == "add" or what == "fill" then
    return wrk.format("POST", "/user/" .. user .. "/cart/" .. skus[math.random(#skus)], nil, '{"count":1}')
  end
  return wrk.format("GET", "/user/" .. user .. "/cart")
end

dofile("dev/bench/done.lua")
