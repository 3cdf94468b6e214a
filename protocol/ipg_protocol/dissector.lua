-- What follows is the same whatever the catalogue holds: it reads the tables above.

local ipg = Proto("ipg", "Virtual IPG")

local DIRECTIONS = {
    [0] = "to the device",
    [1] = "to the host",
    [2] = "to the device, but dropped, ignored or altered",
    [3] = "to the host, but dropped, ignored or altered",
}
local KINDS = { [1] = "REQUEST", [2] = "RESPONSE", [3] = "EVENT", [4] = "EVENT_ACK" }
local REQUEST, RESPONSE, EVENT, EVENT_ACK = 1, 2, 3, 4
local OK = 0
local HEADER, CRC = 8, 4
local REPLACEMENT_CHARACTER = "\239\191\189"

local header = {
    direction = ProtoField.uint8("ipg.direction", "Direction", base.DEC, DIRECTIONS),
    major = ProtoField.uint8("ipg.major", "Protocol version", base.DEC, nil, 0xF0),
    kind = ProtoField.uint8("ipg.kind", "Kind", base.DEC, KINDS, 0x0F),
    length = ProtoField.uint8("ipg.length", "Payload length"),
    opcode = ProtoField.uint16("ipg.opcode", "Opcode", base.HEX),
    name = ProtoField.string("ipg.name", "Name"),
    number = ProtoField.uint32("ipg.request_id", "Number"),
    status = ProtoField.uint8("ipg.status", "Status", base.DEC, STATUSES),
    replayed = ProtoField.bool("ipg.replayed", "Replayed", 8, nil, 0x01),
    payload = ProtoField.bytes("ipg.payload", "Payload"),
    crc = ProtoField.uint32("ipg.crc", "CRC-32C", base.HEX),
    noise = ProtoField.bytes("ipg.noise", "Bytes that are no frame"),
}
local expert_crc = ProtoExpert.new("ipg.crc.wrong", "The CRC is wrong", expert.group.CHECKSUM, expert.severity.ERROR)
local expert_malformed = ProtoExpert.new("ipg.malformed", "Malformed", expert.group.MALFORMED, expert.severity.ERROR)
local expert_dropped = ProtoExpert.new("ipg.dropped", "Did not pass as it is", expert.group.SEQUENCE, expert.severity.WARN)

local INTEGERS = {
    u8 = { 1, "uint8" },
    i8 = { 1, "int8" },
    u16 = { 2, "uint16" },
    i16 = { 2, "int16" },
    u32 = { 4, "uint32" },
    i32 = { 4, "int32" },
    u64 = { 8, "uint64" },
}

-- Each declared field gets its size in bytes, if it has one, and what Wireshark shows it by.
local all = {}
for _, field in pairs(header) do
    table.insert(all, field)
end
for _, message in pairs(MESSAGES) do
    for _, field in ipairs(message) do
        local filter = "ipg." .. message.filter .. "." .. field.name
        if field.rows then
            field.proto = ProtoField.uint8(filter .. ".count", field.name .. ", rows")
        elseif field.type == "bytes" then
            field.proto = ProtoField.bytes(filter, field.name)
        elseif field.type == "text" then
            field.proto = ProtoField.string(filter, field.name)
        elseif field.type then
            field.size = INTEGERS[field.type][1]
            local shown = field.flags and base.HEX or base.DEC
            field.proto = ProtoField[INTEGERS[field.type][2]](filter, field.name, shown, field.values)
            field.bits = {}
            for _, flag in ipairs(field.flags or {}) do
                local shown_by = ProtoField.bool(filter .. "." .. flag.name:lower(), flag.name, 8 * field.size, nil, flag.mask)
                table.insert(field.bits, shown_by)
                table.insert(all, shown_by)
            end
        end
        if field.proto then
            table.insert(all, field.proto)
        end
    end
end
ipg.fields = all
ipg.experts = { expert_crc, expert_malformed, expert_dropped }

local crc_table = {}
for byte = 0, 255 do
    local value = byte
    for _ = 1, 8 do
        local carry = bit.band(value, 1) == 1
        value = bit.rshift(value, 1)
        if carry then
            value = bit.bxor(value, 0x82F63B78)
        end
    end
    crc_table[byte] = value
end

local function crc32c(bytes, size)
    local value = 0xFFFFFFFF
    for place = 0, size - 1 do
        local index = bit.band(bit.bxor(value, bytes:get_index(place)), 0xFF)
        value = bit.bxor(bit.rshift(value, 8), crc_table[index])
    end
    return bit.bnot(value) % 2 ^ 32
end

-- The bytes that COBS stands for, and nil if it is not COBS.
local function unstuffed(encoded)
    local plain, place = {}, 0
    while place < encoded:len() do
        local code = encoded:get_index(place)
        if code == 0 or place + code > encoded:len() then
            return nil
        end
        for next = place + 1, place + code - 1 do
            table.insert(plain, encoded:get_index(next))
        end
        place = place + code
        if code < 255 and place < encoded:len() then
            table.insert(plain, 0)
        end
    end
    local bytes = ByteArray.new()
    bytes:set_size(#plain)
    for index, byte in ipairs(plain) do
        bytes:set_index(index - 1, byte)
    end
    return bytes
end

local function malformed(tree, why)
    tree:add_proto_expert_info(expert_malformed, why)
    return nil
end

local function field_names(message_name)
    local names = {}
    for _, field in ipairs(MESSAGES[message_name]) do
        local own = field.nested and field_names(field.nested) or { field.name }
        for _, name in ipairs(own) do
            table.insert(names, name)
        end
    end
    return names
end

local dissect_message

-- Each of these adds one field that begins at `place`, and returns where the next begins; nil if the field does not fit.
local function dissect_rows(field, tvb, place, tree)
    local count = tvb(place, 1):uint()
    local branch = tree:add(field.proto, tvb(place, 1))
    place = place + 1
    for number = 1, count do
        local row = branch:add(ipg, tvb(place), field.name .. " " .. number)
        local after = dissect_message(field.rows, tvb, place, row)
        if not after then
            return nil
        end
        row:set_len(after - place)
        place = after
    end
    return place
end

local function dissect_bytes(field, tvb, place, tree)
    local count = tvb(place, 1):uint()
    if place + 1 + count > tvb:len() then
        return malformed(tree, field.name .. " is cut short")
    end
    if count > 0 then
        tree:add(field.proto, tvb(place + 1, count))
    end
    return place + 1 + count
end

local function dissect_text(field, range, tree)
    local text = range:string(ENC_UTF_8):gsub("%z+$", "")
    local item = tree:add(field.proto, range, text)
    if text:find(REPLACEMENT_CHARACTER, 1, true) then
        malformed(item, field.name .. " is not UTF-8")
    end
end

local function dissect_value(field, tvb, place, tree)
    if place + field.size > tvb:len() then
        return malformed(tree, field.name .. " is cut short")
    end
    local range = tvb(place, field.size)
    if field.type == "text" then
        dissect_text(field, range, tree)
        return place + field.size
    end
    local item = tree:add_le(field.proto, range)
    if field.values and not field.values[range:le_uint()] then
        malformed(item, field.name .. " has no such value")
    end
    for _, shown_by in ipairs(field.bits or {}) do
        item:add_le(shown_by, range)
    end
    return place + field.size
end

local function dissect_field(field, tvb, place, tree)
    if field.nested then
        return dissect_message(field.nested, tvb, place, tree)
    elseif (field.rows or field.type == "bytes") and place >= tvb:len() then
        return malformed(tree, field.name .. " is missing")
    elseif field.rows then
        return dissect_rows(field, tvb, place, tree)
    elseif field.type == "bytes" then
        return dissect_bytes(field, tvb, place, tree)
    end
    return dissect_value(field, tvb, place, tree)
end

function dissect_message(message_name, tvb, place, tree)
    for _, field in ipairs(MESSAGES[message_name]) do
        place = dissect_field(field, tvb, place, tree)
        if not place then
            return nil
        end
    end
    return place
end

local function dissect_whole(message_name, tvb, place, tree)
    local after = dissect_message(message_name, tvb, place, tree)
    if after and after < tvb:len() then
        malformed(tree, (tvb:len() - after) .. " bytes too many")
    end
end

local function dissect_response(command, tvb, tree)
    if tvb:len() < 2 then
        malformed(tree, "a response holds at least 2 bytes")
        return ""
    end
    local status = tvb(0, 1):uint()
    local item = tree:add(header.status, tvb(0, 1))
    tree:add(header.replayed, tvb(1, 1))
    local message_name = REFUSALS[status]
    if status == OK and command then
        message_name = command.response
    end
    if message_name then
        dissect_whole(message_name, tvb, 2, tree)
    else
        malformed(item, "no such answer")
    end
    if status ~= OK and message_name and tvb:len() > 2 and MESSAGES[message_name][1].name == "field" and command then
        local name = field_names(command.request)[tvb(2, 1):uint() + 1] or "the whole message"
        tree:append_text(", field: " .. name)
    end
    return " " .. (STATUSES[status] or status) .. (tvb(1, 1):uint() % 2 == 1 and " REPLAYED" or "")
end

-- What the payload says, in the tree; and what is worth saying of it in the line of the packet.
local function dissect_payload(kind, opcode, tvb, tree)
    local command, event = COMMANDS[opcode], EVENTS[opcode]
    if kind == RESPONSE then
        return dissect_response(command, tvb, tree)
    elseif kind == REQUEST and command then
        dissect_whole(command.request, tvb, 0, tree)
    elseif kind == EVENT and event then
        dissect_whole(event.message, tvb, 0, tree)
    elseif kind ~= EVENT_ACK then
        malformed(tree, "no such command or event")
    end
    return ""
end

local function name_of(kind, opcode)
    if kind == EVENT_ACK then
        return nil
    end
    local entry = kind == EVENT and EVENTS[opcode] or kind ~= EVENT and COMMANDS[opcode]
    return entry and entry.name or string.format("0x%04x", opcode)
end

local function dissect_body(body, tree)
    local kind, opcode = body(0, 1):uint() % 16, body(2, 2):le_uint()
    tree:add(header.major, body(0, 1))
    tree:add(header.kind, body(0, 1))
    tree:add(header.length, body(1, 1))
    tree:add_le(header.opcode, body(2, 2))
    local name = name_of(kind, opcode)
    if name then
        tree:add(header.name, body(2, 2), name):set_generated()
    end
    tree:add_le(header.number, body(4, 4))
    local size = body:len() - HEADER - CRC
    local words = ""
    if size > 0 or kind ~= EVENT_ACK then
        local payload = size > 0 and body(HEADER, size) or body(HEADER, 0)
        local branch = size > 0 and tree:add(header.payload, payload) or tree
        words = dissect_payload(kind, opcode, size > 0 and payload:tvb() or ByteArray.new():tvb("no payload"), branch)
    end
    local number = body(4, 4):le_uint()
    return (KINDS[kind] or "kind " .. kind) .. " " .. number .. (name and " " .. name or "") .. words
end

local function check_crc(bytes, body, tree)
    local place = body:len() - CRC
    local item = tree:add_le(header.crc, body(place, CRC))
    if body(place, CRC):le_uint() ~= crc32c(bytes, place) then
        item:add_proto_expert_info(expert_crc)
        return false
    end
    return true
end

local function no_frame(tvb, tree, dropped, why)
    local item = tree:add(header.noise, tvb())
    if not dropped then
        malformed(item, why)
    end
    return "no frame: " .. why
end

-- The frame that stands between two delimiters; its line is returned.
local function dissect_frame(tvb, tree, dropped)
    local bytes = unstuffed(tvb:bytes())
    if not bytes then
        return no_frame(tvb, tree, dropped, "not COBS")
    elseif bytes:len() < HEADER + CRC or bytes:get_index(1) ~= bytes:len() - HEADER - CRC then
        return no_frame(tvb, tree, dropped, "its length is wrong")
    end
    local body = bytes:tvb("IPG frame")
    local words = dissect_body(body, tree)
    return check_crc(bytes, body, tree) and words or words .. " [the CRC is wrong]"
end

-- Where the next byte that is, or is not, a delimiter stands; nil if there is none.
local function find(tvb, place, delimiter)
    while place < tvb:len() do
        if (tvb(place, 1):uint() == 0) == delimiter then
            return place
        end
        place = place + 1
    end
    return nil
end

-- Packets of a trace: a byte for the direction, then one frame or what is none.
function ipg.dissector(tvb, pinfo, root)
    pinfo.cols.protocol = "IPG"
    local tree = root:add(ipg, tvb())
    tree:add(header.direction, tvb(0, 1))
    local direction = tvb(0, 1):uint()
    local dropped = direction >= 2
    pinfo.cols.src = direction % 2 == 0 and "host" or "device"
    pinfo.cols.dst = direction % 2 == 0 and "device" or "host"
    local from = find(tvb, 1, false)
    local words = "nothing but delimiters"
    if from then
        local to = find(tvb, from, true) or tvb:len()
        words = dissect_frame(tvb(from, to - from):tvb(), tree, dropped)
    end
    if dropped then
        tree:add_proto_expert_info(expert_dropped)
        words = "[did not pass] " .. words
    end
    tree:append_text(", " .. words)
    pinfo.cols.info = words
end

-- A TCP stream: frames between delimiters, however they are cut.
local stream = Proto("ipg_stream", "Virtual IPG over TCP")

function stream.dissector(tvb, pinfo, root)
    pinfo.cols.protocol = "IPG"
    local lines = {}
    local from = find(tvb, 0, false)
    while from do
        local to = find(tvb, from, true)
        if not to then
            pinfo.desegment_offset = from
            pinfo.desegment_len = DESEGMENT_ONE_MORE_SEGMENT
            break
        end
        local tree = root:add(ipg, tvb(from, to - from))
        local words = dissect_frame(tvb(from, to - from):tvb(), tree, false)
        tree:append_text(", " .. words)
        table.insert(lines, words)
        from = find(tvb, to, false)
    end
    pinfo.cols.info = table.concat(lines, "; ")
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, ipg)
DissectorTable.get("tcp.port"):add_for_decode_as(stream)
