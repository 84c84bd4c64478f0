-- What wrk sends: bodies from a file, each made new by putting a number in place of its marks.
--
-- The file has, for each body, a line with its length in bytes, then the body. Arguments after `--`: the file, the API
-- key, the first number, and the plan:
--   each     every request is the next body with a number of its own
--   repeat   likewise, but every tenth request is the one before it once more
--   grow     64 numbers in turn; each gets the bodies one after the other, then makes room for a new one
--   same     the first body with the first number, for ever
local MARK = "@@@@@@@@"
local IN_TURN = 64

local bodies, plan, number, path, headers = {}, "each", 0, "", {}
local sent = 0
local last

local function pieces(body)
  local found, from = {}, 1
  while true do
    local first, after = body:find(MARK, from, true)
    if not first then
      found[#found + 1] = body:sub(from)
      return found
    end
    found[#found + 1] = body:sub(from, first - 1)
    from = after + 1
  end
end

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  for length in file:lines() do
    bodies[#bodies + 1] = pieces(file:read(tonumber(length)))
    file:read(1)
  end
  file:close()
  headers = { ["X-API-Key"] = arguments[2], ["Content-Type"] = "application/json" }
  number, plan, path = tonumber(arguments[3]), arguments[4], wrk.path
end

function request()
  local body, mark = 1, number
  if plan == "repeat" and sent % 10 == 9 then
    sent = sent + 1
    return last
  elseif plan == "grow" then
    local step = math.floor(sent / IN_TURN)
    body = step % #bodies + 1
    mark = number + sent % IN_TURN + IN_TURN * math.floor(step / #bodies)
  elseif plan ~= "same" then
    body, mark = sent % #bodies + 1, number + sent
  end
  sent = sent + 1
  last = wrk.format("POST", path, headers, table.concat(bodies[body], string.format("%08x", mark)))
  return last
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'JSON {"requests": %d, "seconds": %.6f, "bytes": %d, "refused": %d, "broken": %d, "p50_ms": %.4f, "p99_ms": %.4f}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
