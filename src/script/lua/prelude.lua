-- Runs once in a new machine, before any script: takes Lua's globals away and puts protected tables in their place.
--
-- A protected table is an empty one whose metatable reads the real one and refuses writes. `protected` knows them all,
-- so that functions that go past metatables (rawset, table.insert, next) can ask.
local native = ...
local globals, protected, guard = _G, native.protected, native.guard
local error, setmetatable, tostring, type, pcall, concat = error, setmetatable, tostring, type, pcall, table.concat

local function deny()
  error('Attempt to modify a readonly table', 2)
end

local function protect(real)
  local proxy, shown = {}, {}
  local read = { __index = function(_, name) return real[name] end }
  setmetatable(shown, { __index = read, __newindex = deny, __metatable = false })
  setmetatable(proxy, { __index = real, __newindex = deny, __metatable = shown })
  protected[proxy] = real
  protected[shown] = read
  return proxy
end

-- Lua's own functions that go past metatables, or could take all time or memory.
for _, name in ipairs { 'remove', 'sort', 'setn' } do
  table[name] = guard('write', table[name])
end
table.insert = guard('insert', table.insert)
for _, name in ipairs { 'find', 'match', 'gmatch', 'gfind', 'gsub' } do
  string[name] = guard('pattern', string[name])
end
string.rep = guard('rep', string.rep)
math.random, math.randomseed = native.random.random, native.random.randomseed
coroutine.resume = guard('rethrow', coroutine.resume)

local collectgarbage = collectgarbage
local allowed = { count = true, collect = true, step = true }

-- A reader runs before its text is parsed, never between: the parser is not to be disturbed.
local loadstring = native.loadstring
local function load(reader, name)
  if type(reader) ~= 'function' then
    error("bad argument #1 to 'load' (function expected, got " .. type(reader) .. ')', 2)
  end
  local parts = {}
  while true do
    local ok, part = pcall(reader)
    if not ok then return nil, part end
    if part == nil or part == '' then break end
    if type(part) ~= 'string' then return nil, 'reader function must return a string' end
    parts[#parts + 1] = part
  end
  return loadstring(concat(parts), name or '=(load)')
end

local real = {
  _VERSION = _VERSION, assert = assert, error = error, gcinfo = gcinfo, getmetatable = getmetatable, ipairs = ipairs,
  rawequal = rawequal, select = select, tonumber = tonumber, tostring = tostring, type = type,
  collectgarbage = function(what, value)
    if what == nil or allowed[what] then return collectgarbage(what, value) end
    return 0
  end,
  load = load, loadstring = loadstring, pcall = native.pcall, xpcall = native.xpcall,
  next = guard('read', next), rawget = guard('read', rawget), rawset = guard('write', rawset),
  setmetatable = guard('write', setmetatable), unpack = native.unpack,
  __redis__err__handler = native.handler,
  bit = protect(native.bit), cjson = protect(native.cjson), cmsgpack = protect(native.cmsgpack),
  struct = protect(native.struct), coroutine = protect(coroutine), math = protect(math), table = protect(table),
  string = protect(string), os = protect { clock = os.clock },
}
real.pairs = native.pairs(real.next)

native.cjson.null = native.null
native.cjson._NAME, native.cjson._VERSION = 'cjson', '2.1.0'
native.cjson.new = function()
  local copy = {}
  for name, value in next, native.cjson do copy[name] = value end
  return copy
end
native.cmsgpack._NAME, native.cmsgpack._VERSION = 'cmsgpack', 'lua-cmsgpack 0.4.0'
native.cmsgpack._COPYRIGHT = 'Copyright (C) 2012, Salvatore Sanfilippo'
native.cmsgpack._DESCRIPTION = 'MessagePack C implementation for Lua'

-- While a library is loaded there is nothing but `redis`, and that is another table.
local redis, loading = native.redis, native.loading
for _, name in ipairs { 'LOG_DEBUG', 'LOG_VERBOSE', 'LOG_NOTICE', 'LOG_WARNING' } do
  loading[name] = redis[name]
end
loading.log, loading.REDIS_VERSION, loading.REDIS_VERSION_NUM = redis.log, redis.REDIS_VERSION, redis.REDIS_VERSION_NUM
local unknown = {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
}
setmetatable(loading, unknown)
native.proxies.loading = setmetatable({ redis = protect(loading) }, unknown)
real.redis = protect(redis)

local strings = getmetatable('')
strings.__index, strings.__metatable = string, getmetatable(real.string)

local names = {}
for name in next, globals do names[#names + 1] = name end
for at = 1, #names do globals[names[at]] = nil end
real._G = globals
setmetatable(real, unknown)
local shown = {}
local read = { __index = function(_, name) return real[name] end }
setmetatable(shown, { __index = read, __newindex = deny, __metatable = false })
native.proxies.meta = { __index = real, __newindex = deny, __metatable = shown }
setmetatable(globals, native.proxies.meta)
protected[globals], protected[shown] = real, read
return real
