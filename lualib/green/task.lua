-- SPDX-License-Identifier: MIT
-- Tasks: one running script each. The C half spawns, joins and cancels; time comes from green.timer.
local native = require "green.task.native"
local semaphore = require "green.semaphore"
local timer = require "green.timer"

return {
  semaphore = semaphore.new,
  spawn = native.spawn,
  sleep = timer.sleep,
  now = timer.now,
}
