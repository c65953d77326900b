-- SPDX-License-Identifier: MIT
-- Compressed messages (RFC 7692): what is agreed on, frame by frame, and with Python's websockets as a second opinion.
-- Needs: peers
local coding = require "green.coding.native"
local encoders = require "coding.encoders"
local frames = require "http.frames"
local hub = require "green.hub"
local native = require "green.http.native"
local outcome = require "outcome"
local process = require "green.process"
local task = require "green.task"
local ws = require "green.ws"
local ws_server = require "http.ws_server"

local PYTHON = require "peers.python"
local stored = frames.stored
local OFFER = { ["Sec-WebSocket-Extensions"] = "permessage-deflate; client_max_window_bits" }
local RSV1 = { rsv = 4 }

local serve, echo = ws_server.serve, ws_server.echo

-- Decompresses what the server sends; with `kept`, a message may refer to those before it.
local function inflater(kept)
  local decoder
  return function(bytes)
    if not (kept and decoder) then decoder = coding.decoder "deflate" end
    decoder:feed(bytes .. "\0\0\xff\xff")
    local all = {}
    for piece in decoder.pull, decoder do
      assert(piece, "no deflate")
      all[#all + 1] = piece
    end
    return table.concat(all)
  end
end

-- The next message, which must be compressed.
local function compressed(client, inflate)
  local opcode, payload, fin, rsv = client:frame()
  assert.same({ frames.TEXT, true, 4 }, { opcode, fin, rsv })
  return inflate(payload), #payload
end

local function words(n)
  local all = {}
  for i = 1, n do all[i] = ("word%d é "):format(i * 7919 % 1000) end
  return table.concat(all)
end

describe("the agreement", function()
  local function agreed(offer, compression)
    local answer
    serve(echo, { compression = compression }, function(address)
      local client, status, headers = frames.ask(address, { headers = { ["Sec-WebSocket-Extensions"] = offer } })
      assert.equal("HTTP/1.1 101 Switching Protocols", status)
      answer = headers["sec-websocket-extensions"]
      client:close()
    end)
    return answer
  end

  local NONE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

  it("is without takeover, which costs a socket nothing while it is idle", function()
    assert.equal(NONE, agreed "permessage-deflate")
    assert.equal(NONE, agreed "permessage-deflate; client_max_window_bits")
    assert.equal(NONE, agreed "Permessage-Deflate ; Server_no_context_takeover;client_no_context_takeover")
    assert.equal(NONE, agreed("permessage-deflate", true))
  end)

  it("has no part in what is not offered or not wanted", function()
    assert.is_nil(agreed(false))
    assert.is_nil(agreed("permessage-deflate", false))
    assert.is_nil(agreed "x-webkit-deflate-frame, permessage-deflate2, permessage")
  end)

  it("takes the windows that both can have", function()
    local out = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits="
    assert.equal(out .. "9", agreed "permessage-deflate; server_max_window_bits=9")
    assert.equal(out .. "8", agreed 'permessage-deflate; server_max_window_bits="8"')
    assert.equal(out .. "10", agreed("permessage-deflate; server_max_window_bits=12", { window_bits = 10 }))
    assert.equal(out .. "15", agreed "permessage-deflate; server_max_window_bits=15")
    assert.equal(out .. "11; client_max_window_bits=11", agreed("permessage-deflate; client_max_window_bits", { window_bits = 11 }))
    assert.equal(out .. "11; client_max_window_bits=9", agreed("permessage-deflate; client_max_window_bits=9", { window_bits = 11 }))
    -- The client did not say that it can be limited, so that it must not be.
    assert.equal(out .. "11", agreed("permessage-deflate", { window_bits = 11 }))
  end)

  it("has takeover when the script asks for it, and the client lets us", function()
    local wish = { context_takeover = true }
    assert.equal("permessage-deflate", agreed("permessage-deflate", wish))
    assert.equal("permessage-deflate; server_no_context_takeover", agreed("permessage-deflate; server_no_context_takeover", wish))
    assert.equal("permessage-deflate; client_no_context_takeover", agreed("permessage-deflate; client_no_context_takeover", wish))
  end)

  it("declines what is malformed, unknown or there twice, and takes the next offer", function()
    for _, offer in ipairs {
      "permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=16",
      "permessage-deflate; server_max_window_bits=08", "permessage-deflate; client_max_window_bits=",
      "permessage-deflate; client_max_window_bits=20", "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; what",
      "permessage-deflate; client_no_context_takeover; client_no_context_takeover", "permessage-deflate;", "permessage-deflate; ;", "permessage-deflate =",
      "permessage-deflate server_no_context_takeover",
    } do
      assert.is_nil(agreed(offer), offer)
      assert.equal(NONE, agreed(offer .. "; x, permessage-deflate"), offer)
      assert.equal(NONE, agreed(offer .. "\r\nSec-WebSocket-Extensions: permessage-deflate"), offer)
    end
  end)

  it("ignores a list whose quote does not end", function() assert.is_nil(agreed 'permessage-deflate; server_max_window_bits="9, permessage-deflate') end)

  it("names an option that is wrong", function()
    local wrong = {}
    serve(echo, nil, function(address)
      local server = native.listen("127.0.0.1:0", function(req)
        for _, compression in ipairs { 1, { treshold = 9 }, { threshold = 0 }, { window_bits = 7 }, { context_takeover = "yes" } } do
          local _, err = pcall(ws.accept, req, { compression = compression })
          wrong[#wrong + 1] = err:match "ws.accept.*$"
        end
        return "done"
      end)
      frames.ask(server:address()):close()
      outcome.eventually(function() return #wrong == 5 end)
      server:abort()
      frames.connect(address):close()
    end)
    assert.same({
      "ws.accept: option 'compression': a boolean or a table expected, not 1",
      "ws.accept: compression: unknown option 'treshold'; did you mean 'threshold'?",
      "ws.accept: compression: option 'threshold': an integer >= 1 expected, not 0",
      "ws.accept: compression: option 'window_bits': '8', '9', '10', '11', '12', '13', '14' or '15' expected, not 7",
      "ws.accept: compression: option 'context_takeover': a boolean expected, not 'yes'",
    }, wrong)
  end)
end)

describe("what comes compressed", function()
  -- Sends frames and returns the first message of the echo, or the code of the close frame that answers.
  local function answer(bytes, o)
    local result
    serve(echo, o or {}, function(address)
      local client = frames.connect(address, { headers = OFFER })
      client:raw(bytes .. frames.close(1000))
      local opcode, payload = client:frame()
      result = opcode == frames.CLOSE and string.unpack(">I2", payload) or payload
      client:close()
    end)
    return result
  end

  it("is what the samples of the RFC say (7.2.3)", function()
    assert.equal("Hello", answer(frames.text("\xf2\x48\xcd\xc9\xc9\x07\x00", RSV1)))
    assert.equal("Hello", answer(frames.text("\xf2\x48\xcd", { rsv = 4, fin = false }) .. frames.encode(0, "\xc9\xc9\x07\x00"))) -- two frames
    assert.equal("Hello", answer(frames.text("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", RSV1))) -- a stored block
    assert.equal("Hello", answer(frames.text("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", RSV1))) -- a last block
    assert.equal("Hello", answer(frames.text("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", RSV1))) -- two blocks
    assert.equal("", answer(frames.text("\x00", RSV1)))
  end)

  it("may refer to the message before, where that was agreed on", function()
    serve(echo, { compression = { context_takeover = true } }, function(address)
      local client = frames.connect(address, { headers = OFFER })
      client:raw(frames.text("\xf2\x48\xcd\xc9\xc9\x07\x00", RSV1) .. frames.text("\xf2\x00\x11\x00\x00", RSV1))
      assert.equal("Hello", client:message())
      assert.equal("Hello", client:message())
      client:close()
    end)
    assert.equal("Hello", answer(frames.text("\xf2\x48\xcd\xc9\xc9\x07\x00", RSV1) .. frames.text("\xf2\x00\x11\x00\x00", RSV1)))
    serve(echo, nil, function(address) -- without takeover the second message refers to nothing
      local client = frames.connect(address, { headers = OFFER })
      client:raw(frames.text("\xf2\x48\xcd\xc9\xc9\x07\x00", RSV1) .. frames.text("\xf2\x00\x11\x00\x00", RSV1))
      assert.equal("Hello", client:message())
      assert.equal(1007, (client:farewell()))
      client:close()
    end)
  end)

  it("may come between control frames, byte by byte, and beside messages that are not compressed", function()
    serve(echo, nil, function(address)
      local text, client = words(3000), frames.connect(address, { headers = OFFER })
      local body = encoders.raw_deflate(text) .. "\0"
      local half = #body // 2
      local all = frames.text(body:sub(1, half), { rsv = 4, fin = false, mask = "abcd" }) .. frames.ping "p"
        .. frames.encode(0, body:sub(half + 1), { mask = "wxyz" }) .. frames.text "plain"
      for i = 1, #all do
        client:raw(all:sub(i, i))
        if i % 50 == 0 then task.sleep(0) end
      end
      assert.equal("p", client:expect(frames.PONG))
      assert.equal(text, (compressed(client, inflater())))
      assert.equal("plain", client:message())
      client:close()
    end)
  end)

  it("breaks the rules", function()
    local good = "\xf2\x48\xcd\xc9\xc9\x07\x00"
    assert.equal(1007, answer(frames.text("\xff\xff\xff\xff", RSV1)), "no deflate")
    assert.equal(1007, answer(frames.text(good:sub(1, 4), RSV1)), "cut short")
    assert.equal(1007, answer(frames.text("", RSV1)), "no block at all")
    assert.equal(1007, answer(frames.text(stored "\xff\xfe", RSV1)), "no UTF-8")
    assert.equal(1007, answer(frames.text(stored "\xc3", RSV1)), "half a character")
    assert.equal("\xff\xfe", answer(frames.binary(stored "\xff\xfe", RSV1)))
    assert.equal(1002, answer(frames.text(good, { rsv = 5 })), "another bit")
    assert.equal(1002, answer(frames.text(good, { rsv = 6 })), "another bit")
    assert.equal(1002, answer(frames.ping("p", RSV1)), "a control frame")
    assert.equal(1002, answer(frames.text(good:sub(1, 3), { rsv = 4, fin = false }) .. frames.encode(0, good:sub(4), RSV1)), "not the first frame")
    assert.equal(1002, answer(frames.text(good, RSV1), { compression = false }), "not agreed on")
  end)

  it("is bounded by what it becomes", function()
    local o = { max_message = 100000 }
    assert.equal(("x"):rep(100000), (inflater()(answer(frames.text(encoders.raw_deflate(("x"):rep(100000)) .. "\0", RSV1), o))))
    assert.equal(1009, answer(frames.text(encoders.raw_deflate(("x"):rep(100001)) .. "\0", RSV1), o))
    assert.equal(1009, answer(frames.text(encoders.raw_deflate(("x"):rep(50000000)) .. "\0", RSV1), o), "a bomb")
    local noise = io.open("/dev/urandom", "rb"):read(100000) -- it is larger when it is "compressed"
    assert.equal(noise, answer(frames.binary(stored(noise), RSV1), o))
    assert.equal("xy", answer(frames.text(stored "xy", RSV1), { max_message = 2 }))
    assert.equal(1009, answer(frames.text(stored "xyz", RSV1), { max_message = 2 }))
  end)
end)

describe("what is sent", function()
  it("is compressed from the threshold on, if it gets smaller", function()
    local noise = io.open("/dev/urandom", "rb"):read(2000)
    serve(function(socket)
      socket:send(("x"):rep(1023))
      socket:send(("x"):rep(1024))
      assert(socket:try_send(("y"):rep(1024)))
      socket:send_binary(noise)
      socket:send ""
      socket:send(("é"):rep(300000)) -- more than the largest that is compressed
    end, nil, function(address)
      local client, inflate = frames.connect(address, { headers = OFFER }), inflater()
      assert.equal(("x"):rep(1023), client:message())
      local text, size = compressed(client, inflate)
      assert.equal(("x"):rep(1024), text)
      assert.is_true(size < 30)
      assert.equal(("y"):rep(1024), (compressed(client, inflate)))
      assert.equal(noise, client:expect(frames.BINARY))
      assert.equal("", client:message())
      assert.equal(("é"):rep(300000), client:message())
      client:farewell()
    end)
  end)

  it("refers to the messages before where that was agreed on, and never to one that the peer has not seen so", function()
    local noise = io.open("/dev/urandom", "rb"):read(3000)
    serve(function(socket)
      socket:send(words(500))
      socket:send(words(500))
      socket:send_binary(noise)
      socket:send(words(500))
      socket:send(words(400))
      socket:send "plain"
      socket:send(words(400))
    end, { compression = { context_takeover = true } }, function(address)
      local client, inflate = frames.connect(address, { headers = OFFER }), inflater(true)
      local first, all = compressed(client, inflate)
      assert.equal(words(500), first)
      local again, less = compressed(client, inflate)
      assert.equal(words(500), again)
      local _, size = nil, #encoders.raw_deflate(words(500))
      assert.is_true(less < size // 10, "the second refers to the first: " .. less)
      assert.is_true(all > 0)
      assert.equal(noise, client:expect(frames.BINARY))
      assert.equal(words(500), (compressed(client, inflate)))
      assert.equal(words(400), (compressed(client, inflate)))
      assert.equal("plain", client:message())
      assert.equal(words(400), (compressed(client, inflate)))
      client:farewell()
    end)
  end)

  it("stays within the window that the client has", function()
    -- zlib compresses with 512 bytes for a window of 256, and must not look back further than that.
    local far = io.open("/dev/urandom", "rb"):read(251)
    for bits = 8, 15 do
      serve(function(socket)
        socket:send_binary((far:rep(20) .. ("a"):rep(2000)))
      end, nil, function(address)
        local client = frames.connect(address, { headers = { ["Sec-WebSocket-Extensions"] = "permessage-deflate; server_max_window_bits=" .. bits } })
        local _, payload, _, rsv = client:frame()
        assert.equal(4, rsv)
        local script = "import sys,zlib; sys.stdout.buffer.write(zlib.decompressobj(-" .. bits .. ").decompress(sys.stdin.buffer.read()+b'\\0\\0\\xff\\xff'))"
        assert.equal(far:rep(20) .. ("a"):rep(2000), encoders.run({ PYTHON, "-c", script }, payload))
        client:farewell()
      end)
    end
  end)
end)

describe("what is published", function()
  -- Connects a client for each offer, and publishes the texts to all.
  local function published(opts, offers, texts, look)
    local ready = 0
    serve(function(socket)
      socket:subscribe "news"
      ready = ready + 1
      socket:receive()
    end, opts, function(address)
      local clients = {}
      for i, offer in ipairs(offers) do clients[i] = frames.connect(address, { headers = { ["Sec-WebSocket-Extensions"] = offer } }) end
      outcome.eventually(function() return ready == #offers end)
      for _, text in ipairs(texts) do assert.equal(#offers, hub.publish("news", text)) end
      for i, client in ipairs(clients) do look(client, i) end
      for _, client in ipairs(clients) do client:close() end
    end)
  end

  it("is compressed once, for all who take it so", function()
    local text = words(300)
    published(nil, { "permessage-deflate", false, "permessage-deflate", "permessage-deflate; server_max_window_bits=9" }, { text, "short" }, function(client, i)
      local got
      if i % 2 == 1 then got = compressed(client, inflater()) else got = client:message() end
      assert.equal(text, got)
      assert.equal("short", client:message())
    end)
  end)

  it("does not confuse a socket whose own messages refer to each other", function()
    local text = words(300)
    serve(function(socket)
      socket:subscribe "news"
      socket:send(text)
      hub.publish("news", text)
      socket:send(text)
      socket:send(text)
    end, { compression = { context_takeover = true } }, function(address)
      local client, inflate = frames.connect(address, { headers = OFFER }), inflater(true)
      for _ = 1, 4 do assert.equal(text, (compressed(client, inflate))) end
      client:farewell()
    end)
  end)
end)

-- One decompressor is lent to one message at a time.
it("many messages in pieces at the same time", function()
  serve(echo, nil, function(address)
    local clients, text = {}, words(2000)
    local body = encoders.raw_deflate(text) .. "\0"
    local half = #body // 2
    for i = 1, 40 do clients[i] = frames.connect(address, { headers = OFFER }) end
    for _, client in ipairs(clients) do client:raw(frames.text(body:sub(1, half), { rsv = 4, fin = false })) end
    for i, client in ipairs(clients) do
      if i % 4 == 0 then client:close() else client:raw(frames.encode(0, body:sub(half + 1))) end
    end
    for i, client in ipairs(clients) do
      if i % 4 > 0 then
        assert.equal(text, (compressed(client, inflater())))
        client:close()
      end
    end
  end)
end)

describe("Python's websockets", function()
  local CLIENT = [[
import asyncio, random, sys, websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory as Deflate
async def main(uri):
    random.seed(7)
    for takeover in (False, True):
        for bits in (None, 9, 12, 15):
            factory = Deflate(server_no_context_takeover=not takeover, client_no_context_takeover=not takeover,
                              server_max_window_bits=bits, client_max_window_bits=bits or True)
            async with websockets.connect(uri, extensions=[factory], compression=None, max_size=None) as socket:
                assert socket.extensions, "no extension"
                for size in (0, 1, 100, 1023, 1024, 1500, 70000, 300000):
                    for kind in range(3):
                        text = "".join(random.choice("abcde é") for _ in range(size)) if kind == 0 else "x" * size
                        message = text.encode() if kind == 2 else text
                        await socket.send(message)
                        assert await socket.recv() == message, (takeover, bits, size, kind)
asyncio.run(main(sys.argv[1]))
print("all is well")
]]

  for name, opts in pairs { plain = {}, takeover = { compression = { context_takeover = true, threshold = 1 } }, small = { compression = { window_bits = 9 } } } do
    it("gets its messages back, " .. name, function()
      opts.max_message = 1 << 20
      serve(echo, opts, function(address)
        local got = process.capture({ PYTHON, "-c", CLIENT, "ws://" .. address .. "/" }, { timeout = 100 })
        assert.equal("all is well\n", got.stdout, got.stderr)
      end)
    end)
  end
end)
