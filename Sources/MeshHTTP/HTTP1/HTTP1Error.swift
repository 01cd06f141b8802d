/// Why an HTTP/1 message was refused. The connection cannot go on: answer `status` if a request was read, then close.
package enum HTTP1Error: Error, Equatable, Sendable, CaseIterable {
  // Start line
  case malformedRequestLine
  case malformedStatusLine
  case invalidMethod
  case invalidTarget
  case unsupportedVersion
  case requestLineTooLong
  case statusLineTooLong
  // Fields
  case bareCarriageReturn
  case bareLineFeed
  case controlByte
  case foldedField
  case invalidFieldName
  case spaceBeforeColon
  case missingHost
  case repeatedHost
  case invalidHost
  case headTooLarge
  case tooManyFields
  // Framing
  case invalidContentLength
  case repeatedContentLength
  case lengthWithTransferEncoding
  case invalidTransferEncoding
  case unknownTransferCoding
  case transferEncodingInHTTP10
  case contentInConnect
  // Chunks and trailers
  case invalidChunkSize
  case chunkSizeOverflow
  case chunkLineTooLong
  case chunkExtensionsTooLarge
  case missingChunkEnd
  case trailersTooLarge
  case tooManyTrailerFields
  // Connection
  case tooManyInformationalResponses
  case truncated

  /// The status that answers a request with this fault.
  package var status: UInt16 {
    switch self {
    case .requestLineTooLong: 414
    case .headTooLarge, .tooManyFields, .trailersTooLarge, .tooManyTrailerFields: 431
    case .unknownTransferCoding: 501
    case .unsupportedVersion: 505
    default: 400
    }
  }

  /// One sentence for the response's body and the log.
  package var reason: StaticString {
    switch self {
    case .malformedRequestLine: "The request line is not METHOD SP TARGET SP VERSION."
    case .malformedStatusLine: "The status line is not VERSION SP STATUS SP REASON."
    case .invalidMethod: "The method is not a token."
    case .invalidTarget: "The request target has no valid form for its method."
    case .unsupportedVersion: "Only HTTP/1.0 and HTTP/1.1 are understood here."
    case .requestLineTooLong: "The request line is too long."
    case .statusLineTooLong: "The status line is too long."
    case .bareCarriageReturn: "A carriage return stands without a line feed."
    case .bareLineFeed: "A line ends in a line feed without a carriage return."
    case .controlByte: "A control character stands in the head."
    case .foldedField: "A field is folded over several lines."
    case .invalidFieldName: "A field line has no valid name."
    case .spaceBeforeColon: "White space stands between a field name and its colon."
    case .missingHost: "The Host field is missing."
    case .repeatedHost: "There is more than one Host field."
    case .invalidHost: "The Host field is not a host with an optional port."
    case .headTooLarge: "The head is too large."
    case .tooManyFields: "The head has too many fields."
    case .invalidContentLength: "Content-Length is not one decimal number."
    case .repeatedContentLength: "There is more than one Content-Length field."
    case .lengthWithTransferEncoding: "Content-Length and Transfer-Encoding exclude each other."
    case .invalidTransferEncoding: "Transfer-Encoding must be chunked, once."
    case .unknownTransferCoding: "The only transfer coding understood is chunked."
    case .transferEncodingInHTTP10: "Transfer-Encoding has no meaning in HTTP/1.0."
    case .contentInConnect: "A CONNECT request has no content."
    case .invalidChunkSize: "A chunk-size line is malformed."
    case .chunkSizeOverflow: "A chunk size is too large."
    case .chunkLineTooLong: "A chunk-size line is too long."
    case .chunkExtensionsTooLarge: "The chunk extensions are too large."
    case .missingChunkEnd: "A chunk is not followed by a line end."
    case .trailersTooLarge: "The trailer section is too large."
    case .tooManyTrailerFields: "The trailer section has too many fields."
    case .tooManyInformationalResponses: "There were too many interim responses."
    case .truncated: "The connection closed in the middle of a message."
    }
  }

  /// The label `limit` of `limit_hits_total`, for a limit of `HTTP1Limits`.
  package var limit: StaticString? {
    switch self {
    case .requestLineTooLong: "http1_request_line_bytes"
    case .statusLineTooLong: "http1_status_line_bytes"
    case .headTooLarge: "http1_head_bytes"
    case .tooManyFields, .tooManyTrailerFields: "http1_fields"
    case .chunkLineTooLong: "http1_chunk_line_bytes"
    case .chunkExtensionsTooLarge: "http1_chunk_extension_bytes"
    case .trailersTooLarge: "http1_trailer_bytes"
    case .tooManyInformationalResponses: "http1_informational_responses"
    default: nil
    }
  }

  /// The metric label of this fault (`protocol_errors_total{reason}`).
  package var counter: StaticString {
    switch self {
    case .malformedRequestLine: "malformed_request_line"
    case .malformedStatusLine: "malformed_status_line"
    case .invalidMethod: "invalid_method"
    case .invalidTarget: "invalid_target"
    case .unsupportedVersion: "unsupported_version"
    case .requestLineTooLong: "request_line_too_long"
    case .statusLineTooLong: "status_line_too_long"
    case .bareCarriageReturn: "bare_carriage_return"
    case .bareLineFeed: "bare_line_feed"
    case .controlByte: "control_byte"
    case .foldedField: "folded_field"
    case .invalidFieldName: "invalid_field_name"
    case .spaceBeforeColon: "space_before_colon"
    case .missingHost: "missing_host"
    case .repeatedHost: "repeated_host"
    case .invalidHost: "invalid_host"
    case .headTooLarge: "head_too_large"
    case .tooManyFields: "too_many_fields"
    case .invalidContentLength: "invalid_content_length"
    case .repeatedContentLength: "repeated_content_length"
    case .lengthWithTransferEncoding: "length_with_transfer_encoding"
    case .invalidTransferEncoding: "invalid_transfer_encoding"
    case .unknownTransferCoding: "unknown_transfer_coding"
    case .transferEncodingInHTTP10: "transfer_encoding_in_http10"
    case .contentInConnect: "content_in_connect"
    case .invalidChunkSize: "invalid_chunk_size"
    case .chunkSizeOverflow: "chunk_size_overflow"
    case .chunkLineTooLong: "chunk_line_too_long"
    case .chunkExtensionsTooLarge: "chunk_extensions_too_large"
    case .missingChunkEnd: "missing_chunk_end"
    case .trailersTooLarge: "trailers_too_large"
    case .tooManyTrailerFields: "too_many_trailer_fields"
    case .tooManyInformationalResponses: "too_many_informational_responses"
    case .truncated: "truncated_message"
    }
  }
}
