import MeshCore

/// Frame types of RFC 9113, section 6.
enum HTTP2FrameType {
  static let data: UInt8 = 0
  static let headers: UInt8 = 1
  static let priority: UInt8 = 2
  static let resetStream: UInt8 = 3
  static let settings: UInt8 = 4
  static let pushPromise: UInt8 = 5
  static let ping: UInt8 = 6
  static let goAway: UInt8 = 7
  static let windowUpdate: UInt8 = 8
  static let continuation: UInt8 = 9
}

enum HTTP2Flags {
  static let endStream: UInt8 = 0x1
  static let acknowledge: UInt8 = 0x1
  static let endHeaders: UInt8 = 0x4
  static let padded: UInt8 = 0x8
  static let priority: UInt8 = 0x20
}

/// The nine bytes before every payload (RFC 9113, section 4.1).
struct HTTP2FrameHeader {
  static let size = 9

  var length: Int
  var type: UInt8
  var flags: UInt8
  var stream: UInt32

  init(length: Int, type: UInt8, flags: UInt8, stream: UInt32) {
    self.length = length
    self.type = type
    self.flags = flags
    self.stream = stream
  }

  /// Reads the header at `bytes`, which has at least nine bytes.
  init(_ bytes: UnsafeRawPointer) {
    let word = UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self))
    length = Int(word >> 8)
    type = UInt8(truncatingIfNeeded: word)
    flags = bytes.load(fromByteOffset: 4, as: UInt8.self)
    stream = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 5, as: UInt32.self)) & 0x7FFF_FFFF
  }

  func has(_ flag: UInt8) -> Bool { flags & flag != 0 }

  func write(to target: UnsafeMutableRawPointer) {
    let word = UInt32(truncatingIfNeeded: length) << 8 | UInt32(type)
    target.storeBytes(of: word.bigEndian, as: UInt32.self)
    target.storeBytes(of: flags, toByteOffset: 4, as: UInt8.self)
    target.storeBytes(of: stream.bigEndian, toByteOffset: 5, as: UInt32.self)
  }
}

// Room of one byte or more always has a base address, hence `unsafelyUnwrapped`.
extension ByteQueue {
  func appendFrame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32, word: UInt32) {
    let room = reserve(HTTP2FrameHeader.size + 4).baseAddress.unsafelyUnwrapped
    HTTP2FrameHeader(length: 4, type: type, flags: flags, stream: stream).write(to: room)
    room.storeBytes(of: word.bigEndian, toByteOffset: HTTP2FrameHeader.size, as: UInt32.self)
    commit(HTTP2FrameHeader.size + 4)
  }

  func appendFrame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32, long: UInt64) {
    let room = reserve(HTTP2FrameHeader.size + 8).baseAddress.unsafelyUnwrapped
    HTTP2FrameHeader(length: 8, type: type, flags: flags, stream: stream).write(to: room)
    room.storeBytes(of: long.bigEndian, toByteOffset: HTTP2FrameHeader.size, as: UInt64.self)
    commit(HTTP2FrameHeader.size + 8)
  }

  func appendFrame(_ type: UInt8, flags: UInt8, stream: UInt32, payload: UnsafeRawBufferPointer) {
    let size = HTTP2FrameHeader.size + payload.count
    let room = reserve(size).baseAddress.unsafelyUnwrapped
    HTTP2FrameHeader(length: payload.count, type: type, flags: flags, stream: stream).write(to: room)
    if let source = payload.baseAddress {
      (room + HTTP2FrameHeader.size).copyMemory(from: source, byteCount: payload.count)
    }
    commit(size)
  }
}

extension UnsafeRawBufferPointer {
  /// The stream that the priority part at `offset` depends on (RFC 9113, section 6.3).
  func dependency(at offset: Int) -> UInt32 { word(at: offset) & 0x7FFF_FFFF }

  /// The big-endian number at `offset`; four bytes must be there.
  func word(at offset: Int) -> UInt32 {
    UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }
}
