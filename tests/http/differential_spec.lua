-- SPDX-License-Identifier: MIT
-- Some four hundred raw answers, from plain to hostile: what our client makes of each is what the table says (differential/table.txt), and where
-- Node's fetch or Python's http.client make something else of it, the table says why.
local differential = require "http.differential.run"

describe("raw answers", function()
  local rows = differential.table()

  it("are read as the table says", function()
    assert.equal(#differential.answers, #rows)
    differential.serve(function(base)
      local wrong = {}
      for i, outcome in ipairs(differential.ours(base)) do
        local row = rows[i]
        assert.equal(differential.answers[i].name, row[1])
        if row[2] ~= outcome then wrong[#wrong + 1] = ("%s: %s instead of %s"):format(row[1], outcome, row[2]) end
      end
      assert.equal("", table.concat(wrong, "\n"))
    end)
  end)

  it("that others read in another way have a reason for it, and each reason is for one", function()
    local used = {}
    for _, row in ipairs(rows) do
      assert.equal(4, #row, row[1])
      local reason, i = differential.reason(row[1])
      local differs = differential.differs(row[2], row[3], row[4])
      assert.equal(differs and reason or nil, row.reason, row[1])
      if differs then used[i] = true end
    end
    for i, reason in ipairs(require "http.differential.reasons") do assert.is_true(used[i], "no row: " .. reason[1]) end
  end)
end)
