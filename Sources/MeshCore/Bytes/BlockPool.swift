import Glibc

/// Free lists of memory blocks for the byte queues of one worker loop.
///
/// A block goes back to its pool as soon as its queue is empty, so an idle connection holds no buffer.
/// Confined to the worker that made it; never shared between threads.
/// Limits: at most `maximumIdleBlocks` blocks of each size class are kept (a sixteenth of it of the largest), the rest
/// goes back to `free`.
package final class BlockPool {
  /// Sizes of the pooled classes in bytes. A larger need is served by `malloc` directly.
  package static let smallBlockSize = 4 * 1024
  package static let mediumBlockSize = 16 * 1024 + 1024
  /// Four full HTTP/2 frames of 16 KiB with their headers.
  package static let largeBlockSize = 64 * 1024 + 1024
  package static let hugeBlockSize = 256 * 1024

  private var small: [UnsafeMutableRawPointer] = []
  private var medium: [UnsafeMutableRawPointer] = []
  private var large: [UnsafeMutableRawPointer] = []
  private var huge: [UnsafeMutableRawPointer] = []
  private let maximumIdleBlocks: Int

  package init(maximumIdleBlocks: Int = 256) {
    self.maximumIdleBlocks = maximumIdleBlocks
    small.reserveCapacity(maximumIdleBlocks)
    medium.reserveCapacity(maximumIdleBlocks)
    large.reserveCapacity(maximumIdleBlocks)
    huge.reserveCapacity(maximumIdleBlocks / 16)
  }

  deinit {
    for block in small + medium + large + huge { free(block) }
  }

  /// Frees all but `keeping` blocks of each class, after a wave of connections has gone.
  package func trim(keeping kept: Int = 16) {
    Self.trim(&small, to: kept)
    Self.trim(&medium, to: kept)
    Self.trim(&large, to: kept)
    Self.trim(&huge, to: kept)
  }

  private static func trim(_ blocks: inout [UnsafeMutableRawPointer], to kept: Int) {
    while blocks.count > kept { free(blocks.removeLast()) }
  }

  /// A block of at least `minimum` bytes.
  package func take(minimum: Int) -> UnsafeMutableRawBufferPointer {
    if minimum <= Self.smallBlockSize {
      return .init(start: small.popLast() ?? malloc(Self.smallBlockSize), count: Self.smallBlockSize)
    }
    if minimum <= Self.mediumBlockSize {
      return .init(start: medium.popLast() ?? malloc(Self.mediumBlockSize), count: Self.mediumBlockSize)
    }
    if minimum <= Self.largeBlockSize {
      return .init(start: large.popLast() ?? malloc(Self.largeBlockSize), count: Self.largeBlockSize)
    }
    if minimum <= Self.hugeBlockSize {
      return .init(start: huge.popLast() ?? malloc(Self.hugeBlockSize), count: Self.hugeBlockSize)
    }
    var size = Self.hugeBlockSize
    while size < minimum { size *= 2 }
    return .init(start: malloc(size), count: size)
  }

  /// Takes back a block that `take` gave.
  package func give(_ block: UnsafeMutableRawBufferPointer) {
    guard let base = block.baseAddress else { return }
    switch block.count {
    case Self.smallBlockSize where small.count < maximumIdleBlocks: small.append(base)
    case Self.mediumBlockSize where medium.count < maximumIdleBlocks: medium.append(base)
    case Self.largeBlockSize where large.count < maximumIdleBlocks: large.append(base)
    case Self.hugeBlockSize where huge.count < maximumIdleBlocks / 16: huge.append(base)
    default: free(base)
    }
  }
}
