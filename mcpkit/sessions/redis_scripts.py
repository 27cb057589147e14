"""What Redis does in one step: the Lua of sessions, mailboxes and inboxes.

Every step that two replicas could race for is one script, and every script may be sent again after a lost answer. Keys
share the prefix ``KEYS[1]``; times are Redis's own, in milliseconds. What must never stand here: Python that runs.

Keys, each after the prefix: ``session:<id>`` hash, the record · ``meta:<id>`` hash, its streams (JSON) and counters ·
``box:<id>`` stream, its messages, the ids are the SSE event ids ``<time>-<stream>`` · ``sessions`` zset, id → when it
expires · ``replica:<id>`` string, a lease · ``replicas`` zset · ``inbox:<replica>`` stream · ``inboxed:<replica>``
stream, with the ids of what was handed over in that inbox: all bytes so far, without it and with it · ``feed`` stream,
notices.
What callers hold: ``callers`` hash, session → caller (a digest) · ``watched`` hash, session → bytes of what it
watches · ``held`` hash, counters: ``s:<caller>`` sessions, ``w:<caller>`` bytes watched, ``w`` bytes watched by all.
"""

from __future__ import annotations

from typing import Final

_COMMON: Final = """
local P = KEYS[1]
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function alive(replica)
  return redis.call('EXISTS', P .. 'replica:' .. replica) == 1
end
local function put(replica, ...)
  local id = redis.call('XADD', P .. 'inbox:' .. replica, 'MAXLEN', '~', '10000', '*', ...)
  redis.call('PEXPIRE', P .. 'inbox:' .. replica, 60000)
  return id
end
local function send(replica, ...)
  if not alive(replica) then return 0 end
  put(replica, ...)
  return 1
end
local function tell_others(me, ...)
  for _, replica in ipairs(redis.call('ZRANGE', P .. 'replicas', 0, -1)) do
    if replica ~= me and send(replica, ...) == 0 then
      redis.call('ZREM', P .. 'replicas', replica)
    end
  end
end
local function count(field, by)
  if by ~= 0 and redis.call('HINCRBY', P .. 'held', field, by) <= 0 then redis.call('HDEL', P .. 'held', field) end
end
local function held(field)
  return tonumber(redis.call('HGET', P .. 'held', field) or '0')
end
local function watch_more(sid, caller, bytes)
  if bytes == 0 then return end
  redis.call('HINCRBY', P .. 'watched', sid, bytes)
  if caller ~= '' then count('w:' .. caller, bytes) end
  count('w', bytes)
end
local function forget(sid)
  redis.call('ZREM', P .. 'sessions', sid)
  local caller = redis.call('HGET', P .. 'callers', sid)
  if caller then
    watch_more(sid, caller, -tonumber(redis.call('HGET', P .. 'watched', sid) or '0'))
    if caller ~= '' then count('s:' .. caller, -1) end
    redis.call('HDEL', P .. 'callers', sid)
    redis.call('HDEL', P .. 'watched', sid)
  end
end
local function forget_expired()
  for _, sid in ipairs(redis.call('ZRANGEBYSCORE', P .. 'sessions', '-inf', now(), 'LIMIT', 0, 1000)) do
    forget(sid)
  end
end
local function keep(sid, idle)
  redis.call('PEXPIRE', P .. 'session:' .. sid, idle)
  redis.call('PEXPIRE', P .. 'meta:' .. sid, idle)
  redis.call('ZADD', P .. 'sessions', now() + idle, sid)
end
"""

_STREAMS: Final = (
    _COMMON
    + """
local sid = ARGV[1]
local session, box, meta = P .. 'session:' .. sid, P .. 'box:' .. sid, P .. 'meta:' .. sid
local streams = {}
local function load(name)
  if streams[name] == nil then
    local found = redis.call('HGET', meta, 's:' .. name)
    streams[name] = found and cjson.decode(found) or false
  end
  return streams[name]
end
local function fresh(name)
  streams[name] = {last = 0, gone = 0, sent = 0, waiting = 0, ended = false, readers = {}}
  return streams[name]
end
local function save()
  for name, s in pairs(streams) do
    if s then
      if s.ended and s.waiting == 0 and #s.readers == 0 then
        redis.call('HDEL', meta, 's:' .. name)
      else
        redis.call('HSET', meta, 's:' .. name, cjson.encode(s))
      end
    end
  end
  redis.call('PEXPIRE', meta, redis.call('PTTL', session))
end
local function newest(s)
  while #s.readers > 0 do
    local reader = s.readers[#s.readers]
    if alive(reader[1]) then return reader end
    table.remove(s.readers)
  end
  return nil
end
local function next_place()
  local place = math.max(now(), tonumber(redis.call('HGET', meta, 'place') or '0') + 1)
  redis.call('HSET', meta, 'place', string.format('%.0f', place))
  return place
end
local function wake(s, stream)
  for _, reader in ipairs(s.readers) do
    send(reader[1], 'kind', 'wake', 'session', sid, 'body', stream)
  end
end
local function aged()
  if redis.call('EXISTS', box) == 1 then return end
  if redis.call('HGET', meta, 'size') == '0' then return end
  redis.call('HSET', meta, 'size', '0')
  local all = redis.call('HGETALL', meta)
  for at = 1, #all, 2 do
    if string.sub(all[at], 1, 2) == 's:' then
      local s = load(string.sub(all[at], 3))
      if s.waiting > 0 then s.waiting, s.gone = 0, s.last end
    end
  end
end
"""
)

CREATE: Final = (
    _COMMON
    + """
-- sid, idle ms, most, most of one caller, caller, field, value, … → 1, or 0: there is no room, -1: none for this caller
local caller = ARGV[5]
forget_expired()
if redis.call('EXISTS', P .. 'session:' .. ARGV[1]) == 1 then return 1 end
if redis.call('ZCARD', P .. 'sessions') >= tonumber(ARGV[3]) then return 0 end
if caller ~= '' then
  if held('s:' .. caller) >= tonumber(ARGV[4]) then return -1 end
  count('s:' .. caller, 1)
end
redis.call('HSET', P .. 'callers', ARGV[1], caller)
redis.call('HSET', P .. 'session:' .. ARGV[1], 'version', '1', 'born', string.format('%.0f', now()), unpack(ARGV, 6))
redis.call('HSET', P .. 'meta:' .. ARGV[1], 'place', '0', 'size', '0')
keep(ARGV[1], tonumber(ARGV[2]))
return 1
"""
)

TOUCH: Final = (
    _STREAMS
    + """
-- sid, idle ms, the version at hand → nothing, or version, whether GENERAL is read, the record where it is newer
local version = redis.call('HGET', session, 'version')
if not version then return false end
keep(sid, tonumber(ARGV[2]))
local general = load('0')
local heard = (general and newest(general)) and '1' or (general and '0' or '')
if version == ARGV[3] then return {version, heard} end
return {version, heard, redis.call('HGETALL', session)}
"""
)

KEEP: Final = (
    _COMMON
    + """
-- sid, me, bytes watched at most by all, by one caller, how many fields go, those fields, then fields and values that
-- come → 1, or 0: the session is gone, -1, -2: this caller watches, all watch, too much; then nothing is kept
local key, added = P .. 'session:' .. ARGV[1], 0
if redis.call('EXISTS', key) == 0 then return 0 end
local going = tonumber(ARGV[5])
local function size(field, sign, exists)
  if string.sub(field, 1, 2) == 'u:' and redis.call('HEXISTS', key, field) == exists then
    added = added + sign * (#field + 128)
  end
end
for at = 6, 5 + going do size(ARGV[at], -1, 1) end
for at = 6 + going, #ARGV, 2 do size(ARGV[at], 1, 0) end
local caller = added ~= 0 and redis.call('HGET', P .. 'callers', ARGV[1])
if caller then
  if added > 0 then
    if held('w') + added > tonumber(ARGV[3]) then forget_expired() end
    if held('w') + added > tonumber(ARGV[3]) then return -2 end
    if caller ~= '' and held('w:' .. caller) + added > tonumber(ARGV[4]) then return -1 end
  end
  watch_more(ARGV[1], caller, added)
end
for at = 6, 5 + going do redis.call('HDEL', key, ARGV[at]) end
for at = 6 + going, #ARGV, 2 do redis.call('HSET', key, ARGV[at], ARGV[at + 1]) end
redis.call('HINCRBY', key, 'version', 1)
tell_others(ARGV[2], 'kind', 'state', 'session', ARGV[1], 'body', '')
return 1
"""
)

STAY: Final = (
    _COMMON
    + """
-- idle ms, sid, … : these sessions are busy here
for at = 2, #ARGV do
  if redis.call('EXISTS', P .. 'session:' .. ARGV[at]) == 1 then keep(ARGV[at], tonumber(ARGV[1])) end
end
return redis.call('ZCARD', P .. 'sessions')
"""
)

END: Final = (
    _COMMON
    + """
-- sid, me → how many ms it lived, if it did
local sid = ARGV[1]
local born = redis.call('HGET', P .. 'session:' .. sid, 'born')
redis.call('DEL', P .. 'session:' .. sid, P .. 'meta:' .. sid, P .. 'box:' .. sid)
forget(sid)
tell_others(ARGV[2], 'kind', 'end', 'session', sid, 'body', '')
return born and now() - born
"""
)

MARK: Final = (
    _STREAMS
    + """
-- sid, stream, me, call → an event id
if redis.call('EXISTS', session) == 0 then return false end
local s = load(ARGV[2]) or fresh(ARGV[2])
s.owner, s.call = s.owner or ARGV[3], s.call or ARGV[4]
local place = next_place()
save()
return string.format('%.0f-%s', place, ARGV[2])
"""
)

APPEND: Final = (
    _STREAMS
    + """
-- sid, stream, me, call, data, last, token, notice, events, bytes, age ms → what became of it, event id, who reads
if redis.call('EXISTS', session) == 0 then return {'gone', '', ''} end
aged()
local name, me, data, last, token = ARGV[2], ARGV[3], ARGV[5], ARGV[6] == '1', ARGV[7]
local s = load(name) or fresh(name)
for _, entry in ipairs(redis.call('XREVRANGE', box, '+', '-', 'COUNT', 32)) do
  if entry[2][4] == token then return {'stored', entry[1], newest(s) and 'yes' or ''} end
end
if s.ended then return {'ended', '', ''} end
if ARGV[8] ~= '' then
  local told = redis.call('HGET', meta, 'told') or '0-0'
  local a, b = string.match(told, '(%d+)-(%d+)')
  local c, d = string.match(ARGV[8], '(%d+)-(%d+)')
  a, b, c, d = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
  if c < a or (c == a and d <= b) then return {'told', '', ''} end
  redis.call('HSET', meta, 'told', ARGV[8])
end
s.owner, s.call = s.owner or me, s.call or ARGV[4]
local place = next_place()
local id = string.format('%.0f-%s', place, name)
redis.call('XADD', box, id, 'data', data, 'token', token)
redis.call('PEXPIRE', box, ARGV[11])
s.last, s.waiting, s.ended = place, s.waiting + 1, last
local size = redis.call('HINCRBY', meta, 'size', #data + 256)
local count, oldest = redis.call('XLEN', box), now() - tonumber(ARGV[11])
while count > 0 do
  local first = redis.call('XRANGE', box, '-', '+', 'COUNT', 1)[1]
  local at, of = string.match(first[1], '(%d+)-(%d+)')
  at = tonumber(at)
  if count <= tonumber(ARGV[9]) and size <= tonumber(ARGV[10]) and at > oldest then break end
  redis.call('XDEL', box, first[1])
  count, size = count - 1, redis.call('HINCRBY', meta, 'size', -(#first[2][2] + 256))
  local losing = load(of)
  if losing then losing.gone, losing.waiting = at, losing.waiting - 1 end
end
local reader = newest(s)
if last then wake(s, name) elseif reader then send(reader[1], 'kind', 'wake', 'session', sid, 'body', name) end
save()
return {'stored', id, reader and 'yes' or ''}
"""
)

DROP: Final = (
    _STREAMS
    + """
-- sid, stream
local s = load(ARGV[2])
if s then
  s.ended = true
  wake(s, ARGV[2])
  save()
end
return 1
"""
)

FOLLOW: Final = (
    _STREAMS
    + """
-- sid, stream, after or '', me, token → 'gone', 'unknown', or the place after which to read
if redis.call('EXISTS', session) == 0 then return 'gone' end
aged()
local s = load(ARGV[2])
if not s then
  if ARGV[2] ~= '0' then return 'unknown' end
  s = fresh('0')
  local feed = redis.call('XREVRANGE', P .. 'feed', '+', '-', 'COUNT', 1)
  redis.call('HSET', meta, 'told', feed[1] and feed[1][1] or '0-0')
end
local place = tonumber(redis.call('HGET', meta, 'place') or '0')
local after = ARGV[3] == '' and s.sent or tonumber(ARGV[3])
if after < s.gone or after > place then return 'unknown' end
for _, reader in ipairs(s.readers) do
  if reader[2] == ARGV[5] then return string.format('%.0f', after) end
end
if #s.readers >= 64 then table.remove(s.readers, 1) end
table.insert(s.readers, {ARGV[4], ARGV[5], 0})
save()
return string.format('%.0f', after)
"""
)

READ: Final = (
    _STREAMS
    + """
-- sid, stream, after, me, token → 'end', 'wait', 'orphan' with the call, or 'some' with ids and data
if redis.call('EXISTS', session) == 0 then return {'end'} end
local s = load(ARGV[2])
if not s then return {'end'} end
local mine = nil
for _, reader in ipairs(s.readers) do
  if reader[2] == ARGV[5] then mine = reader end
end
if not mine then
  mine = {ARGV[4], ARGV[5], 0}
  table.insert(s.readers, 1, mine)
end
local first = newest(s)
if first and first[2] ~= ARGV[5] then
  save()
  return {s.ended and 'end' or 'wait'}
end
local after = math.max(tonumber(ARGV[3]), mine[3])
local some, size = {'some'}, 0
for _, entry in ipairs(redis.call('XRANGE', box, string.format('%.0f-0', after + 1), '+')) do
  local at, of = string.match(entry[1], '(%d+)-(%d+)')
  if of == ARGV[2] then
    size = size + #entry[2][2]
    if #some > 1 and size > 1048576 then break end
    table.insert(some, entry[1])
    table.insert(some, entry[2][2])
    s.sent = math.max(s.sent, tonumber(at))
  end
end
save()
if #some > 1 then return some end
if s.ended then return {'end'} end
if ARGV[2] ~= '0' and s.owner and not alive(s.owner) then return {'orphan', s.call or ''} end
return {'wait'}
"""
)

LEAVE: Final = (
    _STREAMS
    + """
-- sid, stream, token
local s = load(ARGV[2])
if not s then return 0 end
for at = #s.readers, 1, -1 do
  if s.readers[at][2] == ARGV[3] then table.remove(s.readers, at) end
end
local heir = newest(s)
if heir then
  heir[3] = s.sent
  send(heir[1], 'kind', 'wake', 'session', sid, 'body', ARGV[2])
end
save()
return 1
"""
)

SEND: Final = (
    _COMMON
    + """
-- replica, sid, kind, body, token, most bytes → 1, or 0: that replica is gone, -1: too much waits for it
for _, entry in ipairs(redis.call('XREVRANGE', P .. 'inbox:' .. ARGV[1], '+', '-', 'COUNT', 64)) do
  if entry[2][8] == ARGV[5] then return 1 end
end
if not alive(ARGV[1]) then return 0 end
local sizes = P .. 'inboxed:' .. ARGV[1]
local first = redis.call('XRANGE', sizes, '-', '+', 'COUNT', 1)[1]
local last = redis.call('XREVRANGE', sizes, '+', '-', 'COUNT', 1)[1]
local before = last and tonumber(last[2][4]) or 0
local after = before + #ARGV[4]
if first and after - tonumber(first[2][2]) > tonumber(ARGV[6]) then return -1 end
local id = put(ARGV[1], 'kind', ARGV[3], 'session', ARGV[2], 'body', ARGV[4], 'token', ARGV[5])
local sums = {string.format('%.0f', before), string.format('%.0f', after)}
redis.call('XADD', sizes, 'MAXLEN', '~', '10000', id, 'before', sums[1], 'after', sums[2])
redis.call('PEXPIRE', sizes, 60000)
return 1
"""
)

BROADCAST: Final = (
    _COMMON
    + """
-- me, sid, kind, body
tell_others(ARGV[1], 'kind', ARGV[3], 'session', ARGV[2], 'body', ARGV[4])
return 1
"""
)

BEAT: Final = (
    _COMMON
    + """
-- me, lease ms, the inbox's last id that was read, a cursor → how many sessions there are, and the next cursor
redis.call('SET', P .. 'replica:' .. ARGV[1], '1', 'PX', ARGV[2])
redis.call('ZADD', P .. 'replicas', now(), ARGV[1])
redis.call('XTRIM', P .. 'inbox:' .. ARGV[1], 'MINID', ARGV[3])
redis.call('XTRIM', P .. 'inboxed:' .. ARGV[1], 'MINID', ARGV[3])
redis.call('PEXPIRE', P .. 'inbox:' .. ARGV[1], 60000)
forget_expired()
-- replicas of older versions end sessions without telling whom they were counted for: a few are looked at each time
local found = redis.call('HSCAN', P .. 'callers', ARGV[4], 'COUNT', 50)
for at = 1, #found[2], 2 do
  if not redis.call('ZSCORE', P .. 'sessions', found[2][at]) then forget(found[2][at]) end
end
return {redis.call('ZCARD', P .. 'sessions'), found[1]}
"""
)

LEAVE_ALL: Final = (
    _COMMON
    + """
-- me
redis.call('DEL', P .. 'replica:' .. ARGV[1], P .. 'inbox:' .. ARGV[1], P .. 'inboxed:' .. ARGV[1])
redis.call('ZREM', P .. 'replicas', ARGV[1])
return 1
"""
)

MISSED: Final = (
    _COMMON
    + """
-- sid → the notices after the last one that the session was told
local told = redis.call('HGET', P .. 'meta:' .. ARGV[1], 'told')
if not told then return {} end
return redis.call('XRANGE', P .. 'feed', '(' .. told, '+')
"""
)
