-- SPDX-License-Identifier: MIT
-- What a server must make of frames that break the rules (RFC 9113 and 7541), and of those that are unusual and do not: rule by rule, as the
-- tool h2spec has them. Each case is the bytes that a client sends behind the preface and its settings, and what comes of them: a GOAWAY or a
-- RST_STREAM with one of the codes, or nothing. One rule of h2spec's is not kept, by nghttp2 on purpose: a head with a number that is smaller
-- than the last (5.1.1) is ignored, as it may belong to a stream that the client does not know yet to be closed.
local h2 = require "http.h2"
local task = require "green.task"

local PROTOCOL, FLOW, CLOSED, SIZE, REFUSED, COMPRESSION = h2.PROTOCOL_ERROR, h2.FLOW_CONTROL_ERROR, h2.STREAM_CLOSED, 6, h2.REFUSED_STREAM, 9
local FIELDS = h2.fields("GET", "/")
local BLOCK = h2.block(FIELDS)
local HEADERS, CONTINUATION, DATA, PRIORITY, RST, SETTINGS, PING = h2.HEADERS, h2.CONTINUATION, h2.DATA, h2.PRIORITY, h2.RST_STREAM, h2.SETTINGS, h2.PING
local END, ENDS = h2.END_HEADERS, h2.END_STREAM
local frame = h2.frame

local open = frame(HEADERS, END, 1, BLOCK)        -- a request whose body is to come
local whole = frame(HEADERS, END | ENDS, 1, BLOCK)
local begun = frame(HEADERS, ENDS, 1, BLOCK)      -- a head that is not complete

local function setting(id, value) return frame(SETTINGS, 0, 0, (">I2I4"):pack(id, value)) end
local function field(bytes) return frame(HEADERS, END | ENDS, 1, BLOCK .. bytes) end

-- Codes of an error of the connection; of the stream, which may be the connection's as well.
local function connection(...) return { ... } end
local function stream(...) return { stream = true, ... } end
local FINE = "fine"

local cases = {
  ["4.1: an unknown type"] = { frame(255, 0, 0, "x"), FINE },
  ["4.1: unknown flags"] = { frame(PING, 0xfe, 0, "12345678"), FINE },
  ["4.1: the reserved bit"] = { frame(PING, 0, 1 << 31, "12345678"), FINE },
  ["4.2: the largest frame"] = { open .. frame(DATA, 0, 1, ("x"):rep(16384)), FINE },
  ["4.2: a frame of a body that is too large"] = { open .. frame(DATA, 0, 1, ("x"):rep(16385)), stream(SIZE) },
  ["4.2: a frame of a head that is too large"] = { frame(HEADERS, END | ENDS, 1, BLOCK .. ("\0\1a\1b"):rep(4000)), connection(SIZE) },
  ["4.3: a head that cannot be decoded"] = { frame(HEADERS, END | ENDS, 1, "\x40"), connection(COMPRESSION) },
  ["4.3: a priority within a head"] = { begun .. frame(PRIORITY, 0, 1, "\0\0\0\0\1"), connection(PROTOCOL) },
  ["4.3: another head within a head"] = { begun .. frame(HEADERS, END | ENDS, 3, BLOCK), connection(PROTOCOL) },
  ["5.1: a body on an idle stream"] = { frame(DATA, ENDS, 1, "x"), connection(PROTOCOL) },
  ["5.1: a reset of an idle stream"] = { h2.reset(1, h2.CANCEL), connection(PROTOCOL) },
  ["5.1: a window for an idle stream"] = { h2.window(1, 100), connection(PROTOCOL) },
  ["5.1: a continuation of an idle stream"] = { frame(CONTINUATION, END | ENDS, 1, BLOCK), connection(PROTOCOL) },
  ["5.1: a body behind the end, before the answer"] = { h2.get(1, "/late") .. frame(DATA, ENDS, 1, "x"), stream(CLOSED) },
  ["5.1: a head behind the end, before the answer"] = { h2.get(1, "/late") .. whole, stream(CLOSED) },
  ["5.1: a continuation behind the end"] = { h2.get(1, "/late") .. frame(CONTINUATION, END, 1, BLOCK), stream(CLOSED, PROTOCOL) },
  ["5.1: a body behind a reset"] = { open .. h2.reset(1, h2.CANCEL) .. frame(DATA, ENDS, 1, "x"), stream(CLOSED) },
  ["5.1: a head behind a reset"] = { open .. h2.reset(1, h2.CANCEL) .. whole, stream(CLOSED) },
  ["5.1: a continuation behind a reset"] = { open .. h2.reset(1, h2.CANCEL) .. frame(CONTINUATION, END, 1, BLOCK), stream(CLOSED, PROTOCOL) },
  ["5.1: a body behind the answer"] = { whole, frame(DATA, ENDS, 1, "x"), stream(CLOSED) },
  ["5.1: a head behind the answer"] = { whole, whole, connection(CLOSED, PROTOCOL) },
  ["5.1: a continuation behind the answer"] = { whole, frame(CONTINUATION, END, 1, BLOCK), stream(CLOSED, PROTOCOL) },
  ["5.1: a window and a reset behind the answer"] = { whole, h2.window(1, 100) .. h2.reset(1, h2.CANCEL) .. frame(PRIORITY, 0, 1, "\0\0\0\0\1"), FINE },
  ["5.1.1: an even number"] = { h2.get(2, "/"), connection(PROTOCOL) },
  ["5.3.1: a head that depends on itself"] = { frame(HEADERS, END | ENDS | 0x20, 1, "\0\0\0\1\16" .. BLOCK), stream(PROTOCOL) },
  ["5.3.1: a priority that depends on itself"] = { frame(PRIORITY, 0, 1, "\0\0\0\1\16"), stream(PROTOCOL) },
  ["5.5: an unknown type within a head"] = { begun .. frame(255, 0, 0, "x"), connection(PROTOCOL) },
  ["6.1: a body on stream 0"] = { open .. frame(DATA, ENDS, 0, "x"), connection(PROTOCOL) },
  ["6.1: more padding than frame"] = { open .. frame(DATA, h2.PADDED | ENDS, 1, "\6Test"), connection(PROTOCOL) },
  ["6.2: a head on stream 0"] = { frame(HEADERS, END | ENDS, 0, BLOCK), connection(PROTOCOL) },
  ["6.2: more padding than head"] = { frame(HEADERS, h2.PADDED | END | ENDS, 1, "\255" .. BLOCK), connection(PROTOCOL) },
  ["6.3: a priority on stream 0"] = { frame(PRIORITY, 0, 0, "\0\0\0\0\1"), connection(PROTOCOL) },
  ["6.3: a priority of four bytes"] = { open .. frame(PRIORITY, 0, 1, "\0\0\0\0"), stream(SIZE) },
  ["6.4: a reset of stream 0"] = { h2.reset(0, h2.CANCEL), connection(PROTOCOL) },
  ["6.4: a reset of three bytes"] = { open .. frame(RST, 0, 1, "\0\0\0"), connection(SIZE) },
  ["6.5: an acknowledgement with contents"] = { frame(SETTINGS, h2.ACK, 0, "\0"), connection(SIZE) },
  ["6.5: settings on a stream"] = { frame(SETTINGS, 0, 1, "\0\3\0\0\0\100"), connection(PROTOCOL) },
  ["6.5: settings of three bytes"] = { frame(SETTINGS, 0, 0, "\0\3\0"), connection(SIZE) },
  ["6.5.2: a push that is neither on nor off"] = { setting(2, 2), connection(PROTOCOL) },
  ["6.5.2: a window that is too large"] = { setting(4, 1 << 31), connection(FLOW) },
  ["6.5.2: frames that are too small"] = { setting(5, 16383), connection(PROTOCOL) },
  ["6.5.2: frames that are too large"] = { setting(5, 1 << 24), connection(PROTOCOL) },
  ["6.5.2: an unknown setting"] = { setting(255, 1), FINE },
  ["6.7: a ping that is an answer"] = { frame(PING, h2.ACK, 0, "invalid!"), FINE },
  ["6.7: a ping on a stream"] = { frame(PING, 0, 1, "12345678"), connection(PROTOCOL) },
  ["6.7: a ping of six bytes"] = { frame(PING, 0, 0, "123456"), connection(SIZE) },
  ["6.8: a GOAWAY on a stream"] = { frame(h2.GOAWAY, 0, 1, ("\0"):rep(8)), connection(PROTOCOL) },
  ["6.9: a window of nothing"] = { h2.window(0, 0), connection(PROTOCOL) },
  ["6.9: a window of nothing for a stream"] = { open .. h2.window(1, 0), stream(PROTOCOL) },
  ["6.9: a window of three bytes"] = { frame(h2.WINDOW_UPDATE, 0, 0, "\0\0\1"), connection(SIZE) },
  ["6.9.1: windows that are too much"] = { h2.window(0, (1 << 31) - 1) .. h2.window(0, (1 << 31) - 1), connection(FLOW) },
  ["6.9.1: windows that are too much for a stream"] = { open .. h2.window(1, (1 << 31) - 1) .. h2.window(1, (1 << 31) - 1), stream(FLOW) },
  ["6.9.2: settings that make a window too large"] = { open .. h2.window(1, (1 << 31) - 1 - 65535) .. setting(4, 65536), stream(FLOW) },
  ["6.10: continuations"] = { begun .. frame(CONTINUATION, 0, 1, h2.block { { "x-a", "1" } }) .. frame(CONTINUATION, END, 1, h2.block { { "x-b", "2" } }), FINE },
  ["6.10: another frame between continuations"] = { begun .. frame(CONTINUATION, 0, 1, h2.block { { "x-a", "1" } }) .. frame(DATA, ENDS, 1, "x"), connection(PROTOCOL) },
  ["6.10: a continuation on stream 0"] = { begun .. frame(CONTINUATION, END, 0, h2.block { { "x-a", "1" } }), connection(PROTOCOL) },
  ["6.10: a continuation of a whole head"] = { open .. frame(CONTINUATION, END, 1, h2.block { { "x-a", "1" } }), connection(PROTOCOL) },
  ["6.10: a continuation of a body"] = { open .. frame(DATA, 0, 1, "x") .. frame(CONTINUATION, END, 1, h2.block { { "x-a", "1" } }), connection(PROTOCOL) },
  ["7: a GOAWAY with an unknown code"] = { frame(h2.GOAWAY, 0, 0, "\0\0\0\0\0\0\0\255"), FINE },
  ["7: a reset with an unknown code"] = { open .. h2.reset(1, 255), FINE },
  ["8.1: a second head that does not end the request"] = { open .. frame(HEADERS, END, 1, h2.block { { "x-a", "1" } }), stream(PROTOCOL) },
  ["8.4: a promise of a client"] = { frame(h2.PUSH_PROMISE, END, 1, "\0\0\0\2" .. BLOCK), connection(PROTOCOL) },
  ["HPACK 2.3.3: an index of no entry"] = { field "\xff\x7f", connection(COMPRESSION) },
  ["HPACK 2.3.3: a name of no entry"] = { field "\x7f\x7f\1a", connection(COMPRESSION) },
  ["HPACK 4.2: a change of the table's size behind fields"] = { field "\x20", connection(COMPRESSION) },
  ["HPACK 5.2: padding of more than seven bits"] = { field "\0\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff", connection(COMPRESSION) },
  ["HPACK 5.2: padding that is not of ones"] = { field "\0\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90", connection(COMPRESSION) },
  ["HPACK 5.2: the symbol of the end"] = { field "\0\x85\xf2\xb2\x4a\x84\xff\x88\x49\x52\x10\xff\xff\xff\xff\xff", connection(COMPRESSION) },
  ["HPACK 6.1: an index of 0"] = { field "\x80", connection(COMPRESSION) },
  ["HPACK 6.3: a table that is larger than the settings have it"] = { frame(HEADERS, END | ENDS, 1, "\x3f\xe2\x1f" .. BLOCK), connection(COMPRESSION) },
}

local function has(codes, code)
  for _, one in ipairs(codes) do
    if one == code then return true end
  end
  return false
end

describe("a server of HTTP/2, by RFC 9113", function()
  local gate

  local function handler(req)
    if req.path == "/late" then gate:receive() end
    return req:body() .. "answer"
  end

  before_each(function() gate = task.channel() end)

  for name, case in pairs(cases) do
    it(name, function()
      h2.serve(handler, {}, function(address)
        local client <close> = h2.connect(address)
        client:settle()
        local expected = case[#case]
        for i = 1, #case - 1 do
          if i == 2 then assert.equal("answer", client:answer(1).body) end
          pcall(client.send, client, case[i])
        end
        if expected == FINE then
          client:settle()
          assert.is_true(not client.goaway or client.goaway == h2.NO_ERROR)
        else
          local function reset() return expected.stream and client.answers[1] and client.answers[1].reset end
          client:watch(function() return client.goaway or reset() end)
          local code = client.goaway or reset()
          assert.is_true(has(expected, code), tostring(code))
          if client.goaway then client:rest() end -- it closes
        end
        gate:close()
      end)
    end)
  end

  it("6.5.3: takes the last of several values, and acknowledges settings", function()
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address, { stingy = true })
      client:send(frame(SETTINGS, 0, 0, (">I2I4I2I4"):pack(4, 100, 4, 1)), whole)
      local acknowledged = 0
      while not client.answers[1] or client.answers[1].body ~= "a" do
        local got = assert(client:next())
        if got.kind == SETTINGS and got.flags == h2.ACK then acknowledged = acknowledged + 1 end
      end
      assert.equal(2, acknowledged)
    end)
  end)

  it("6.9.2: keeps a window that has become negative", function()
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address, { stingy = true, settings = { [h2.INITIAL_WINDOW_SIZE] = 3 } })
      client:send(whole)
      assert.is_true(client:watch(function() return client.answers[1] and client.answers[1].body == "ans" end))
      client:send(setting(4, 2), h2.window(1, 2)) -- -1, and then 1
      assert.is_true(client:watch(function() return client.answers[1].body == "answ" end))
      client:settle()
      assert.equal("answ", client.answers[1].body)
    end)
  end)

  it("5.1.2: refuses streams beyond what it has announced", function()
    h2.serve(handler, { max_streams = 3 }, function(address)
      local client <close> = h2.connect(address)
      client:settle()
      for i = 1, 7, 2 do client:send(h2.get(i, "/late")) end
      client:watch(function() return client.goaway or client.answers[7] and client.answers[7].reset end)
      assert.is_true(client.goaway == PROTOCOL or client.answers[7].reset == REFUSED)
      gate:close()
    end)
  end)
end)
