-- Puts a document in the place of what stands, by the rules of landing.py, in one atomic step.
-- KEYS: the document, then field keys. ARGV: the text, its generation, then for each key three:
-- how it was shown ('absent', 'item' or 'unreadable'), its value, its version. Last: 'exact' or ''.
local function item(raw)
    if not raw then return nil end
    local bar = string.find(raw, '||', 1, true)
    local value, version = raw, ''
    if bar then
        value, version = string.sub(raw, 1, bar - 1), string.sub(raw, bar + 2)
        local cut = string.find(version, '||', 1, true)
        if cut then version = string.sub(version, 1, cut - 1) end
    end
    if value == '' then return nil end
    return {value = value, version = version}
end

local function generation(standing)
    if not standing then return 0 end
    local decoded, document = pcall(cjson.decode, standing.value)
    if not decoded or type(document) ~= 'table' or document.retunable == nil then return 0 end
    local number = document.generation
    if type(number) ~= 'number' or number < 1 or number ~= math.floor(number) then return 0 end
    return number
end

local items = {}
for place, key in ipairs(KEYS) do
    local raw = redis.pcall('GET', key)
    if type(raw) == 'table' then return {'type', key} end
    items[place] = item(raw)
end

local function as_shown(place)
    local kind, value, version = unpack(ARGV, place * 3, place * 3 + 2)
    local standing = items[place]
    if kind == 'absent' or not standing then return kind == 'absent' and not standing end
    return kind == 'unreadable' or standing.value == value and standing.version == version
end

local text, ours = ARGV[1], tonumber(ARGV[2])
if items[1] and items[1].value == text then return {'already'} end
local standing = generation(items[1])
if standing > ours then return {'outrun', string.format('%.0f', standing)} end

local moved = {'moved'}
local replaces = standing > 0 and standing < ours and ARGV[#ARGV] ~= 'exact'
if not replaces and not as_shown(1) then moved[2] = KEYS[1] end
for place = 2, #KEYS do
    if items[place] and not as_shown(place) then moved[#moved + 1] = KEYS[place] end
end
if #moved > 1 then return moved end

redis.call('SET', KEYS[1], text)
for place = 2, #KEYS do
    if items[place] then redis.call('DEL', KEYS[place]) end
end
return {'landed'}
