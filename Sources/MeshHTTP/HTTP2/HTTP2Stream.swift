/// One open stream (RFC 9113, section 5.1): what each side may still do, its windows, and the object hung on it.
///
/// "idle" and "closed" streams have no record, but for one that closed since the last call of `next`.
struct HTTP2Stream {
  /// The intrusive list a record is in.
  enum List: UInt8 { case none, waiting, refused, retired }

  var id: UInt32
  var context: AnyObject?
  /// May be negative after the peer lowered SETTINGS_INITIAL_WINDOW_SIZE.
  var sendWindow: Int
  var receiveWindow: Int
  /// Bytes passed on by the caller but not yet announced with WINDOW_UPDATE.
  var credit = 0
  /// Bytes given to the caller and not yet passed on.
  var unconsumed = 0
  /// Body bytes the peer's Content-Length still promises; -1 when it promised nothing.
  var contentRemaining = -1
  var method = Method.get
  var isHeadSent = false
  var isHeadReceived = false
  var isLocalEnded = false
  var isRemoteEnded = false
  var isClosed = false
  /// `sendData` stopped at this stream's own window.
  var isBlockedOnWindow = false
  var list = List.none
  var previous: Int32 = -1
  var next: Int32 = -1

  init(id: UInt32, sendWindow: Int, receiveWindow: Int) {
    self.id = id
    self.sendWindow = sendWindow
    self.receiveWindow = receiveWindow
  }
}

/// How a stream came to its end; decides what late frames mean (RFC 9113, section 5.1, "closed").
enum HTTP2Closure: UInt8 {
  /// Not remembered.
  case unknown
  case ended
  case resetByPeer
  /// We gave it up: what the peer still has on the way is ignored.
  case resetByUs
}
