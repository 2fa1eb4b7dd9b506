-- One draw of one node for one tenant: meter.Line says what is computed. All is read and computed before anything is
-- written, because a script that fails is not undone.
--
-- KEYS: the tenant's memory, its list of money accounts, the life of all memory, then an account for each line
-- ARGV: node, boot, seq, epoch; for each line: kind (r, c, m), limit, used, spent, has, need, want, number of
--       seeds, and for each seed a node and what it has spent
--
-- memory   hash: epoch; born; lost, 1 if another memory was before; run, the process that remembers; n:NODE "seen boot seq"
-- life     string: "run born", the process that remembers and since when. In a cluster it is the tenant's alone
-- list     sorted set: key of a money account -> when it may be gone
-- money    hash: = "Σ total Σ spent"; n:NODE "total spent"
-- places   hash: = "epoch"; n:NODE "boot total used"
-- rate     hash: = "epoch ts stock"; n:NODE "boot total used"
--
-- Times are microseconds. The answer: what came of it (0 done, 1 other epoch, 2 settling, 3 stale), epoch, refused line or
-- -1, and for each line total, remaining, spent, microseconds until remaining grows.
local second, day = 1e6, 86400e6
local settling, nodeTimeout, minute, long = 1.5 * second, 15 * second, 60 * second, 400 * day
local remembered = 2 * day -- meter.Remembered

local function text(n) return string.format('%.0f', n) end

local function malformed(key) error('a foreign or malformed key: ' .. key) end

-- numbers reads a fixed number of numbers that are written behind each other.
local function numbers(key, value, count)
  local list = {}
  for word in string.gmatch(value, '%S+') do
    local n = tonumber(word)
    if not n or n ~= n or math.abs(n) > 1e18 then malformed(key) end
    list[#list + 1] = n
  end
  if #list ~= count then malformed(key) end
  return unpack(list)
end

-- entries reads a hash: what is said of nodes, and the rest.
local function entries(key)
  local nodes, rest, flat = {}, {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local name = string.match(flat[i], '^n:(.*)$')
    if name then nodes[name] = flat[i + 1] else rest[flat[i]] = flat[i + 1] end
  end
  return nodes, rest, #flat > 0
end

local time = redis.call('TIME')
local now = time[1] * second + time[2]
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''

local node, boot, seq, epoch = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lines, arg = {}, 5
for i = 1, #KEYS - 3 do
  local function number(k) return tonumber(ARGV[arg + k]) end
  local line = { key = KEYS[i + 3], kind = ARGV[arg], limit = number(1), used = number(2), spent = number(3), has = number(4),
    need = number(5), want = number(6), seeds = {} }
  for s = 1, number(7) do
    line.seeds[s] = { node = ARGV[arg + 6 + 2 * s], spent = number(7 + 2 * s) }
  end
  arg = arg + 8 + 2 * #line.seeds
  lines[i] = line
end

local life
do
  local itsRun, born = string.match(redis.call('GET', KEYS[3]) or '', '^(%w*) (%d+)$')
  if itsRun == run then life = { born = tonumber(born) } end
end

-- What is remembered of the tenant, and whether it is all there.
local nodes, memory, known = {}, {}, false
do
  local said, rest, any = entries(KEYS[1])
  if any then
    memory.epoch = numbers(KEYS[1], rest.epoch or '', 1)
    memory.born = numbers(KEYS[1], rest.born or '', 1)
    memory.lost, memory.run, known = rest.lost, rest.run, rest.run == run
    for name, value in pairs(said) do
      local seen, itsBoot, itsSeq = numbers(KEYS[1], value, 3)
      nodes[name] = { seen = seen, boot = itsBoot, seq = itsSeq }
    end
  end
  for _, line in ipairs(lines) do
    if line.kind == 'm' then
      line.listed = tonumber(redis.call('ZSCORE', KEYS[2], line.key) or '0')
      if line.listed > now and redis.call('EXISTS', line.key) == 0 then known = false end
    end
  end
end

if known then
  local me = nodes[node]
  local recent = me and now - me.seen <= nodeTimeout -- later, a lower boot is a node whose clock was put back
  if me and (boot < me.boot and recent or boot == me.boot and seq < me.seq) then return { 3, memory.epoch } end
  if epoch ~= 0 and epoch ~= memory.epoch then return { 1, memory.epoch } end
else
  -- Who has never heard of the tenant may have forgotten it. Not so if Redis has long forgotten nobody: then the tenant
  -- is new, and need not wait for other nodes to declare what they cannot have.
  local before, longAgo = memory.epoch or 0, false
  if epoch == 0 and before == 0 and redis.call('EXISTS', KEYS[2]) == 0 and life and now - life.born >= settling then
    longAgo = string.find(redis.call('INFO', 'memory'), 'maxmemory_policy:noeviction', 1, true)
  end
  memory = { epoch = math.max(now, before + 1), born = longAgo and now - settling or now, lost = (epoch ~= 0 or before ~= 0) and '1' or '0' }
  nodes = {}
end
nodes[node] = { seen = now, boot = boot, seq = seq }
local busy = now >= memory.born and now - memory.born < settling

-- alive says whether what is noted of a node's rates and places still counts.
local function alive(name, itsBoot)
  local n = nodes[name]
  return n and n.boot == itsBoot and now - n.seen <= nodeTimeout
end

-- money reads what all nodes have together, raised by the seeds, and what this one is known to have.
local function money(line)
  local sum = redis.call('HGET', line.key, '=')
  line.sum, line.spends, line.raised = 0, 0, {}
  if sum then line.sum, line.spends = numbers(line.key, sum, 2) end
  local function of(name)
    local value = redis.call('HGET', line.key, 'n:' .. name)
    if not value then return 0, 0 end
    if not sum then malformed(line.key) end
    return numbers(line.key, value, 2)
  end
  for _, seed in ipairs(line.seeds) do
    local total, spent = of(seed.node)
    if seed.node ~= node and seed.spent > spent then
      local raised = math.max(total, seed.spent)
      line.raised[#line.raised + 1] = { node = seed.node, total = raised, spent = seed.spent }
      line.sum, line.spends = line.sum + raised - total, line.spends + seed.spent - spent
    end
  end
  local total, spent = of(node)
  line.had = math.max(total, line.has)
  line.spends = line.spends + line.spent - spent
  line.others = line.sum - total
  line.free = line.limit - line.others - line.had
end

-- flowing reads what live nodes have of places or a rate, what of it lies unused at other nodes (idle), and what a rate's
-- bucket holds by now (stock).
local function flowing(line)
  local said, rest = entries(line.key)
  local itsEpoch, ts, stock
  if rest['='] and line.kind == 'c' then itsEpoch = numbers(line.key, rest['='], 1) end
  if rest['='] and line.kind == 'r' then itsEpoch, ts, stock = numbers(line.key, rest['='], 3) end
  if not rest['='] and next(said) then malformed(line.key) end
  line.anew = itsEpoch ~= memory.epoch
  line.gone, line.others, line.had, line.idle = {}, 0, line.has, 0
  local mine = 0
  for name, value in pairs(said) do
    local itsBoot, total, used = numbers(line.key, value, 3)
    if line.anew or not alive(name, itsBoot) then
      line.gone[#line.gone + 1] = 'n:' .. name
    elseif name == node then
      line.had, mine = math.max(total, line.has), math.max(total - used, 0)
    else
      line.others, line.idle = line.others + total, line.idle + math.max(total - used, 0)
    end
  end
  if line.kind == 'c' then
    line.free = line.limit - line.others - line.had
    return
  end
  if line.anew and memory.lost == '1' then ts, stock = memory.born, 0 end
  if line.anew and memory.lost ~= '1' then ts, stock = now, line.limit end
  stock = stock + math.max(0, now - ts) * line.limit / minute
  line.stock = math.min(stock, line.limit - line.idle - mine)
  line.free = math.floor(line.stock)
end

local refused = -1
for i, line in ipairs(lines) do
  if line.kind == 'm' then money(line) else flowing(line) end
  if refused < 0 and line.need > math.max(line.had, line.had + line.free) then refused = i - 1 end
end

-- From here on it is written.
if not known then redis.call('DEL', KEYS[1], KEYS[2]) end
if not life then redis.call('SET', KEYS[3], run .. ' ' .. text(now), 'PX', text(long / 1000)) end
redis.call('HSET', KEYS[1], 'epoch', text(memory.epoch), 'born', text(memory.born), 'lost', memory.lost, 'run', run,
  'n:' .. node, text(now) .. ' ' .. text(boot) .. ' ' .. text(seq))
redis.call('PEXPIRE', KEYS[1], text(long / 1000))
for name, n in pairs(nodes) do
  if now - n.seen > day then redis.call('HDEL', KEYS[1], 'n:' .. name) end
end

local function keepMoney(line)
  for _, r in ipairs(line.raised) do
    redis.call('HSET', line.key, 'n:' .. r.node, text(r.total) .. ' ' .. text(r.spent))
  end
  redis.call('HSET', line.key, 'n:' .. node, text(line.total) .. ' ' .. text(line.spent),
    '=', text(line.others + line.total) .. ' ' .. text(line.spends))
  local gone = now + remembered
  redis.call('PEXPIREAT', line.key, text(gone / 1000))
  if line.listed < gone - 60 * minute then
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now))
    redis.call('ZADD', KEYS[2], text(gone - minute), line.key)
    redis.call('PEXPIRE', KEYS[2], text(long / 1000))
  end
end

local function keepFlowing(line)
  if line.anew then redis.call('DEL', line.key) end
  for _, field in ipairs(line.gone) do redis.call('HDEL', line.key, field) end
  local state, keep = text(memory.epoch), 4 * nodeTimeout
  if line.kind == 'r' then
    state = state .. ' ' .. text(now) .. ' ' .. string.format('%.17g', line.stock)
    keep = math.min(long, keep + math.max(0, line.limit - line.stock) * minute / math.max(line.limit, 1))
  end
  redis.call('HSET', line.key, '=', state, 'n:' .. node, text(boot) .. ' ' .. text(line.total) .. ' ' .. text(line.used))
  redis.call('PEXPIRE', line.key, text(keep / 1000))
end

local answer = { busy and 2 or 0, memory.epoch, refused }
for _, line in ipairs(lines) do
  local upTo = line.had + math.max(line.free, 0)
  if refused >= 0 then upTo = line.had end
  line.total = math.max(line.used, math.min(line.want, upTo))
  if busy then line.total = math.max(line.used, line.had) end
  local remaining, grows = line.limit - line.others - line.total, 0
  if line.kind == 'r' then
    if refused < 0 and not busy then line.used = math.max(line.used, line.need) end -- what is needed is used at once
    line.stock = math.min(line.stock - (line.total - line.had), line.limit - line.idle - math.max(line.total - line.used, 0))
    remaining = math.floor(line.stock)
    grows = (remaining + 1 - line.stock) * minute / math.max(line.limit, 1)
  end
  if line.kind == 'm' then keepMoney(line) else keepFlowing(line) end
  answer[#answer + 1] = line.total
  answer[#answer + 1] = remaining
  answer[#answer + 1] = line.spends or 0
  answer[#answer + 1] = math.ceil(grows)
end
return answer
