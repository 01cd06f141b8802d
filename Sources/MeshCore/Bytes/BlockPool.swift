import Glibc

/// Free lists of memory blocks for the byte queues of one worker loop.
///
/// A block goes back to its pool as soon as its queue is empty, so an idle connection holds no buffer.
/// Confined to the worker that made it; never shared between threads.
/// Limits: at most `maximumIdleBlocks` blocks of each size class are kept (a sixteenth of it of the largest), the rest
/// goes back to `free`.
public final class BlockPool {
  /// Sizes of the pooled classes in bytes. A larger need is served by `malloc` directly.
  public static let smallBlockSize = 4 * 1024
  public static let mediumBlockSize = 16 * 1024 + 1024
  /// Four full HTTP/2 frames of 16 KiB with their headers.
  public static let largeBlockSize = 64 * 1024 + 1024
  public static let hugeBlockSize = 256 * 1024

  /// Idle blocks of one class. The link to the next one lies in the block itself.
  private struct FreeList {
    var first: UnsafeMutableRawPointer?
    var count = 0

    @inline(__always) mutating func pop() -> UnsafeMutableRawPointer? {
      guard let block = first else { return nil }
      first = block.load(as: UnsafeMutableRawPointer?.self)
      count &-= 1
      return block
    }

    @inline(__always) mutating func push(_ block: UnsafeMutableRawPointer) {
      block.storeBytes(of: first, as: UnsafeMutableRawPointer?.self)
      first = block
      count &+= 1
    }

    mutating func trim(to kept: Int) {
      while count > kept, let block = pop() { free(block) }
    }
  }

  private var small = FreeList()
  private var medium = FreeList()
  private var large = FreeList()
  private var huge = FreeList()
  private let maximumIdleBlocks: Int

  public init(maximumIdleBlocks: Int = 256) { self.maximumIdleBlocks = maximumIdleBlocks }

  deinit { trim(keeping: 0) }

  /// Frees all but `keeping` blocks of each class, after a wave of connections has gone.
  public func trim(keeping kept: Int = 16) {
    small.trim(to: kept)
    medium.trim(to: kept)
    large.trim(to: kept)
    huge.trim(to: kept)
  }

  /// A block of `smallBlockSize` bytes.
  @inline(__always) func takeSmall() -> UnsafeMutableRawPointer { small.pop() ?? malloc(Self.smallBlockSize) }

  /// A block of at least `minimum` bytes.
  public func take(minimum: Int) -> UnsafeMutableRawBufferPointer {
    if minimum <= Self.smallBlockSize {
      return .init(start: takeSmall(), count: Self.smallBlockSize)
    }
    if minimum <= Self.mediumBlockSize {
      return .init(start: medium.pop() ?? malloc(Self.mediumBlockSize), count: Self.mediumBlockSize)
    }
    if minimum <= Self.largeBlockSize {
      return .init(start: large.pop() ?? malloc(Self.largeBlockSize), count: Self.largeBlockSize)
    }
    if minimum <= Self.hugeBlockSize {
      return .init(start: huge.pop() ?? malloc(Self.hugeBlockSize), count: Self.hugeBlockSize)
    }
    var size = Self.hugeBlockSize
    while size < minimum { size *= 2 }
    return .init(start: malloc(size), count: size)
  }

  /// Takes back a block that `take` gave.
  public func give(_ block: UnsafeMutableRawBufferPointer) {
    guard let base = block.baseAddress else { return }
    switch block.count {
    case Self.smallBlockSize where small.count < maximumIdleBlocks: small.push(base)
    case Self.mediumBlockSize where medium.count < maximumIdleBlocks: medium.push(base)
    case Self.largeBlockSize where large.count < maximumIdleBlocks: large.push(base)
    case Self.hugeBlockSize where huge.count < maximumIdleBlocks / 16: huge.push(base)
    default: free(base)
    }
  }
}
