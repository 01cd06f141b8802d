import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

/// The compression of one answer's content.
///
/// What a turn of the loop brought goes out at its end, so that an answer that comes in pieces goes on in pieces, and many small pieces of one turn
/// are one. Owned by its exchange until that ends. Confined to one worker loop.
final class ResponseCompression: TurnHandler {
  private let encoder: GzipEncoder
  private unowned(unsafe) let exchange: Exchange
  private let generation: UInt32
  private var awaitsFlush = false
  private var isFinished = false
  private(set) var bytesIn = 0
  private(set) var bytesOut = 0

  init(_ encoder: GzipEncoder, of exchange: Exchange) {
    self.encoder = encoder
    self.exchange = exchange
    generation = exchange.generation
  }

  func encode(_ bytes: UnsafeRawBufferPointer, last: Bool, into buffer: ByteQueue) {
    guard !isFinished else { return }
    bytesIn += bytes.count
    write(bytes, last ? .finish : .none, into: buffer)
    isFinished = last
    if !last, !awaitsFlush {
      awaitsFlush = true
      exchange.worker.loop.endOfTurn(self)
    }
  }

  /// The end came without content.
  func finish(into buffer: ByteQueue) {
    if !isFinished { encode(UnsafeRawBufferPointer(start: nil, count: 0), last: true, into: buffer) }
  }

  private func write(_ bytes: UnsafeRawBufferPointer, _ flush: GzipEncoder.Flush, into buffer: ByteQueue) {
    let before = buffer.count
    encoder.encode(bytes, into: buffer, flush)
    bytesOut += buffer.count - before
  }

  func turnEnded() {
    guard awaitsFlush else { return }
    awaitsFlush = false
    guard !isFinished, exchange.generation == generation, exchange.compression === self else { return }
    write(UnsafeRawBufferPointer(start: nil, count: 0), .sync, into: exchange.responseBuffer)
    exchange.pumpResponse()
  }

  /// The encoder serves the next answer.
  func end(_ worker: ProxyWorker) {
    isFinished = true
    worker.compressors.giveBack(encoder)
  }
}

/// The encoders of a worker. Limit: `ProxyLimits.maximumCompressions` at a time; what comes past it goes out as it is.
struct CompressorPool {
  private static let maximumIdle = 16
  private var idle: [GzipEncoder] = []
  private var inUse = 0

  mutating func take(level: Int32, atMost maximum: Int) -> GzipEncoder? {
    guard inUse < maximum else { return nil }
    if let encoder = idle.popLast() {
      encoder.reset(level: level)
      inUse += 1
      return encoder
    }
    guard let encoder = GzipEncoder(level: level) else { return nil }
    inUse += 1
    return encoder
  }

  mutating func giveBack(_ encoder: GzipEncoder) {
    inUse -= 1
    if idle.count < Self.maximumIdle { idle.append(encoder) }
  }
}
