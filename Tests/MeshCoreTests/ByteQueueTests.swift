import MeshCore
import Testing

@Suite struct ByteQueueTests {
  @Test("bytes come out in the order they went in, across growth and compaction")
  func order() {
    let queue = ByteQueue(pool: BlockPool())
    var random = SeededRandom(seed: 1)
    var (written, read) = (0, 0)
    for _ in 0..<2_000 {
      let added = random.next(below: 3_000)
      queue.append((written..<written + added).map { UInt8(truncatingIfNeeded: $0 % 251) })
      written += added
      let taken = random.next(below: queue.count + 1)
      let isRight = queue.readable.prefix(taken).enumerated().allSatisfy { $1 == UInt8((read + $0) % 251) }
      #expect(isRight)
      queue.consume(taken)
      read += taken
      #expect(queue.count == written - read)
    }
  }

  @Test("an emptied queue gives its block back to the pool for the next one")
  func blockReuse() {
    let pool = BlockPool()
    let first = ByteQueue(pool: pool)
    first.append("x")
    let block = first.readable.baseAddress
    first.consume(1)
    #expect(first.readable.baseAddress == nil)
    let second = ByteQueue(pool: pool)
    second.append("y")
    #expect(second.readable.baseAddress == block)
  }

  @Test("a reservation of nothing on an empty queue is harmless")
  func emptyReservation() {
    let queue = ByteQueue(pool: BlockPool())
    #expect(queue.reserve(0).baseAddress != nil)
    queue.commit(0)
    #expect(queue.isEmpty)
    queue.releaseIfEmpty()
    #expect(queue.readable.baseAddress == nil)
  }

  @Test("a reservation is written in place and only what is committed counts")
  func reservation() {
    let queue = ByteQueue(pool: BlockPool())
    queue.append("ab")
    let room = queue.reserve(100_000)
    #expect(room.count >= 100_000)
    room[0] = UInt8(ascii: "c")
    room[1] = UInt8(ascii: "d")
    queue.commit(1)
    #expect(queue.readable.string == "abc")
  }

  @Test("moving keeps order, and takes over the block when the target is empty")
  func moving() {
    let pool = BlockPool()
    let (a, b) = (ByteQueue(pool: pool), ByteQueue(pool: pool))
    b.append("one")
    let block = b.readable.baseAddress
    a.append(moving: b)
    #expect(a.readable.baseAddress == block)
    #expect(b.isEmpty)
    b.append("two")
    a.append(moving: b)
    #expect(a.readable.string == "onetwo")
    #expect(b.isEmpty)
  }

  @Test("comparison folds the letter case of ASCII only")
  func comparison() {
    let upper = Array("HoSt\u{C9}".utf8)
    let lower = Array("host\u{E9}".utf8)
    upper.withUnsafeBytes { a in
      lower.withUnsafeBytes { b in
        #expect(a.slice(0, 4).equalsIgnoringCase(b.slice(0, 4)))
        #expect(!a.slice(0, 4).equals(b.slice(0, 4)))
        #expect(!a.equalsIgnoringCase(b))
      }
    }
    #expect(UInt8(ascii: "@").asciiLowercased == UInt8(ascii: "@"))
    #expect(UInt8(ascii: "[").asciiLowercased == UInt8(ascii: "["))
  }
}
