import CZlib
import MeshCore

/// One stream of gzip. Made once and used again: its 128 KiB are the greater part of what a short answer costs.
///
/// Confined to one worker loop. Memory: a window of 16 KiB and tables of 64 KiB, by `windowBits` and `memoryLevel`; zlib's own defaults have
/// twice as much and save some percent more.
final class GzipEncoder {
  private static let windowBits: Int32 = 14
  private static let memoryLevel: Int32 = 7
  private static let gzip: Int32 = 16

  enum Flush { case none, sync, finish }

  /// On the heap: zlib keeps a pointer to it.
  private let stream: UnsafeMutablePointer<z_stream>
  private var level: Int32

  /// Nil when there is no memory for it.
  init?(level: Int32) {
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    self.level = level
    guard czlib_deflate_init(stream, level, Self.windowBits + Self.gzip, Self.memoryLevel) == Z_OK else {
      stream.deallocate()
      return nil
    }
  }

  deinit {
    deflateEnd(stream)
    stream.deallocate()
  }

  /// As new, for the next answer.
  func reset(level: Int32) {
    deflateReset(stream)
    guard level != self.level else { return }
    self.level = level
    deflateParams(stream, level, Z_DEFAULT_STRATEGY)
  }

  /// Appends what becomes of `bytes`, as far as it is decided; all of it with a flush.
  func encode(_ bytes: UnsafeRawBufferPointer, into output: ByteQueue, _ flush: Flush) {
    let code =
      switch flush {
      case .none: Z_NO_FLUSH
      case .sync: Z_SYNC_FLUSH
      case .finish: Z_FINISH
      }
    // zlib does not write there, it has only never said so.
    stream.pointee.next_in = UnsafeMutablePointer(
      mutating: bytes.bindMemory(to: UInt8.self).baseAddress)
    stream.pointee.avail_in = UInt32(bytes.count)
    while true {
      let room = output.reserve(4_096)
      stream.pointee.next_out = room.bindMemory(to: UInt8.self).baseAddress
      stream.pointee.avail_out = UInt32(clamping: room.count)
      let before = stream.pointee.avail_out
      deflate(stream, code)
      output.commit(Int(before - stream.pointee.avail_out))
      // Room left over: there was nothing more to write.
      if stream.pointee.avail_out > 0 { break }
    }
    stream.pointee.next_in = nil
    stream.pointee.next_out = nil
  }
}
