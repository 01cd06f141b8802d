import MeshCore

/// Writes into room reserved once in a `ByteQueue`. Every caller reserves the exact sum, or more, before it writes.
struct HeadWriter {
  private let queue: ByteQueue
  private let start: UnsafeMutableRawPointer
  private var cursor: UnsafeMutableRawPointer
  private let end: UnsafeMutableRawPointer

  init(_ queue: ByteQueue, reserving count: Int) {
    self.queue = queue
    let room = queue.reserve(max(count, 1))
    // `reserve` of at least one byte always has a base address.
    start = room.baseAddress.unsafelyUnwrapped
    cursor = start
    end = start + room.count
  }

  @inline(__always)
  mutating func write(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress else { return }
    precondition(end - cursor >= bytes.count, "head is larger than reserved")
    cursor.copyMemory(from: source, byteCount: bytes.count)
    cursor += bytes.count
  }

  @inline(__always)
  mutating func write(_ literal: StaticString) {
    write(UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
  }

  @inline(__always)
  mutating func write(_ byte: UInt8) {
    precondition(end > cursor, "head is larger than reserved")
    cursor.storeBytes(of: byte, as: UInt8.self)
    cursor += 1
  }

  mutating func write(decimal number: UInt64) {
    var divisor: UInt64 = 1
    while number / divisor >= 10 { divisor *= 10 }
    var rest = number
    while divisor > 0 {
      write(UInt8(0x30 + rest / divisor))
      rest %= divisor
      divisor /= 10
    }
  }

  mutating func write(hexadecimal number: UInt64) {
    var shift = number == 0 ? 0 : UInt64(63 - number.leadingZeroBitCount) & ~3
    while true {
      let digit = UInt8(truncatingIfNeeded: number >> shift) & 15
      write(digit < 10 ? 0x30 + digit : 0x37 + digit)
      if shift == 0 { return }
      shift -= 4
    }
  }

  /// Hands what was written to the queue.
  func commit() { queue.commit(cursor - start) }
}
