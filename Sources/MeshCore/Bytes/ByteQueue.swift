/// A growable first-in-first-out queue of bytes in one contiguous block.
///
/// The reader sees `readable`, works on it in place and calls `consume`; the writer calls `reserve` and `commit`,
/// or one of the `append` methods. Pointers are valid until the next call that reserves, appends or consumes.
/// The block belongs to a `BlockPool` and goes back to it when the queue runs empty.
/// Confined to one worker loop. The queue itself has no upper bound: its owner stops reading when `count` passes its limit.
public final class ByteQueue {
  // Confined to one loop, and no access outlives a call: run-time exclusivity checks would only cost.
  @exclusivity(unchecked) @usableFromInline var base: UnsafeMutableRawPointer?
  @exclusivity(unchecked) @usableFromInline var capacity = 0
  @exclusivity(unchecked) @usableFromInline var head = 0
  @exclusivity(unchecked) @usableFromInline var tail = 0
  @usableFromInline let pool: BlockPool

  public init(pool: BlockPool) {
    self.pool = pool
  }

  deinit { releaseBlock() }

  /// Bytes waiting to be consumed.
  @inlinable public var count: Int { tail &- head }
  @inlinable public var isEmpty: Bool { tail == head }

  @inlinable public var readable: UnsafeRawBufferPointer {
    guard let base else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(start: base + head, count: tail &- head)
  }

  /// Drops the first `n` readable bytes and gives the block back when none is left.
  @inlinable public func consume(_ n: Int) {
    precondition(n >= 0 && n <= count, "consumed more than is readable")
    head &+= n
    if head == tail { releaseBlock() }
  }

  /// Room for at least `minimum` more bytes; `commit` tells how many were written.
  @inlinable public func reserve(_ minimum: Int) -> UnsafeMutableRawBufferPointer {
    if capacity &- tail < minimum || base == nil { grow(minimum) }
    return UnsafeMutableRawBufferPointer(start: base.unsafelyUnwrapped + tail, count: capacity &- tail)
  }

  @inlinable public func commit(_ n: Int) {
    precondition(n >= 0 && n <= capacity &- tail, "committed more than was reserved")
    tail &+= n
  }

  @inlinable public func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    let room = reserve(bytes.count)
    room.baseAddress.unsafelyUnwrapped.copyMemory(from: source, byteCount: bytes.count)
    tail &+= bytes.count
  }

  @inlinable public func append(_ byte: UInt8) {
    reserve(1)[0] = byte
    tail &+= 1
  }

  @inlinable public func append(_ literal: StaticString) {
    append(UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
  }

  public func append(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { append($0) }
  }

  public func append(string: String) {
    var string = string
    string.withUTF8 { append(UnsafeRawBufferPointer($0)) }
  }

  /// Moves everything readable in `other` to the end of this queue; swaps blocks instead of copying when this one is empty.
  public func append(moving other: ByteQueue) {
    if isEmpty && pool === other.pool {
      swap(&base, &other.base)
      swap(&capacity, &other.capacity)
      swap(&head, &other.head)
      swap(&tail, &other.tail)
      return
    }
    append(other.readable)
    other.removeAll()
  }

  public func removeAll() {
    head = 0
    tail = 0
    releaseBlock()
  }

  /// Gives the block back when a reservation was not used, so that an idle queue holds none.
  @inlinable public func releaseIfEmpty() {
    if head == tail, base != nil { releaseBlock() }
  }

  @usableFromInline func grow(_ minimum: Int) {
    if base == nil, minimum <= BlockPool.smallBlockSize {
      // Nearly every message.
      base = pool.takeSmall()
      capacity = BlockPool.smallBlockSize
      return
    }
    let live = count
    if let base, live &+ minimum <= capacity, head >= live {
      base.copyMemory(from: base + head, byteCount: live)
      head = 0
      tail = live
      return
    }
    // What outgrows two small blocks is bulk, which comes in more pieces: growing step by step would copy most bytes
    // twice.
    let wanted = live &+ minimum
    let isBulk = wanted > 2 &* BlockPool.smallBlockSize
    let block = pool.take(
      minimum: max(wanted, isBulk ? BlockPool.largeBlockSize : 0, min(capacity &* 2, 1 << 20)))
    if let base {
      block.baseAddress.unsafelyUnwrapped.copyMemory(from: base + head, byteCount: live)
      pool.give(UnsafeMutableRawBufferPointer(start: base, count: capacity))
    }
    base = block.baseAddress
    capacity = block.count
    head = 0
    tail = live
  }

  @usableFromInline func releaseBlock() {
    head = 0
    tail = 0
    guard let base else { return }
    pool.give(UnsafeMutableRawBufferPointer(start: base, count: capacity))
    self.base = nil
    capacity = 0
  }
}
