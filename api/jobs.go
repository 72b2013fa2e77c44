package api

// Batches as the service has them: the nouns and states are those of OpenAI's
// Batch API, times are Unix seconds, and what Brig knows besides is beside it.

// File is what was uploaded for a batch, or what a batch left.
type File struct {
	ID        string `json:"id"`
	Object    string `json:"object"` // "file"
	Bytes     int64  `json:"bytes"`
	CreatedAt int64  `json:"created_at"`
	Filename  string `json:"filename"`
	Purpose   string `json:"purpose"` // as it was given, or FilePurposeOutput
	Status    string `json:"status"`  // "processed"
}

// FilePurposeOutput is the purpose of the files that a batch leaves.
const FilePurposeOutput = "batch_output"

// The states of a batch. The last four are final until it is retried.
const (
	BatchValidating = "validating" // it waits for its turn, or its input is read
	BatchInProgress = "in_progress"
	BatchCancelling = "cancelling"
	BatchCompleted  = "completed" // every item has a result, good or bad
	BatchFailed     = "failed"    // it could not go on: Errors says why
	BatchExpired    = "expired"   // its completion window was over
	BatchCancelled  = "cancelled"
)

// BatchRequest asks for a batch over an uploaded file. What is 0 or empty has the
// default of 'brig batch run'.
type BatchRequest struct {
	InputFileID string `json:"input_file_id"`
	// Endpoint is for clients that demand one; it is kept and has no meaning.
	Endpoint string `json:"endpoint,omitempty"`
	// CompletionWindow is how long the batch may take, such as 24h; at most 7 days,
	// which is the default too. What is not done then has no result.
	CompletionWindow string            `json:"completion_window,omitempty"`
	Metadata         map[string]string `json:"metadata,omitempty"`

	Format    string   `json:"format,omitempty"` // of the file: items, openai, anthropic, eval; default: by its first record
	Template  string   `json:"template,omitempty"`
	Isolation string   `json:"isolation,omitempty"`
	Floor     Rung     `json:"isolation_floor,omitempty"`
	Per       string   `json:"per,omitempty"` // item, chunk:N or batch
	Result    string   `json:"result,omitempty"`
	Artifacts []string `json:"artifacts,omitempty"` // globs below /work

	BatchLimits

	Concurrency int      `json:"concurrency,omitempty"` // 0: by CPUs and free memory
	Attempts    int      `json:"attempts,omitempty"`    // of an item whose program fails
	Only        []string `json:"only,omitempty"`        // custom_ids
	Limit       int64    `json:"limit,omitempty"`       // the first so many items
	Sample      int64    `json:"sample,omitempty"`      // so many items, chosen by Seed
	Seed        uint64   `json:"seed,omitempty"`
	MaxFailures int64    `json:"max_failures,omitempty"` // fail the batch after so many
}

// BatchLimits are the limits of each item's program.
type BatchLimits struct {
	TimeoutSeconds float64   `json:"timeout_seconds,omitempty"` // wall clock
	CPUSeconds     float64   `json:"cpu_seconds,omitempty"`
	OutputBytes    int64     `json:"output_bytes,omitempty"` // of stdout and stderr together
	Limits         Resources `json:"limits,omitzero"`
}

// BatchRetry runs the items again whose verdict is not ok, and those that have no
// result yet. What is 0 or empty stays as it was.
type BatchRetry struct {
	Only []string `json:"only,omitempty"` // custom_ids
	BatchLimits
	CompletionWindow string `json:"completion_window,omitempty"`
	// MissingOnly leaves failed items as they are.
	MissingOnly bool `json:"missing_only,omitempty"`
}

// Batch is a batch and how far it is.
type Batch struct {
	ID               string            `json:"id"`
	Object           string            `json:"object"` // "batch"
	Status           string            `json:"status"`
	InputFileID      string            `json:"input_file_id"`
	OutputFileID     string            `json:"output_file_id,omitempty"` // results, once there are some
	ErrorFileID      string            `json:"error_file_id,omitempty"`  // records of the input that are no items
	Endpoint         string            `json:"endpoint"`
	CompletionWindow string            `json:"completion_window"`
	Metadata         map[string]string `json:"metadata"`
	Errors           *BatchErrors      `json:"errors,omitempty"`
	RequestCounts    BatchCounts       `json:"request_counts"`

	CreatedAt    int64 `json:"created_at"`
	ExpiresAt    int64 `json:"expires_at"`
	InProgressAt int64 `json:"in_progress_at,omitempty"`
	CancellingAt int64 `json:"cancelling_at,omitempty"`
	CompletedAt  int64 `json:"completed_at,omitempty"`
	FailedAt     int64 `json:"failed_at,omitempty"`
	ExpiredAt    int64 `json:"expired_at,omitempty"`
	CancelledAt  int64 `json:"cancelled_at,omitempty"`

	Progress BatchProgress `json:"progress"`
	Request  BatchRequest  `json:"request"` // with the template that was chosen
}

// Final tells whether a batch has ended.
func (b Batch) Final() bool {
	switch b.Status {
	case BatchCompleted, BatchFailed, BatchExpired, BatchCancelled:
		return true
	}
	return false
}

// BatchCounts are a batch's items. Completed ones are ok.
type BatchCounts struct {
	Total     int64 `json:"total"`
	Completed int64 `json:"completed"`
	Failed    int64 `json:"failed"`
}

// BatchProgress is how far a batch is, beyond its counts.
type BatchProgress struct {
	InFlight int64             `json:"in_flight"`
	Rejected int64             `json:"rejected"` // records of the input that are no items
	Verdicts map[Verdict]int64 `json:"verdicts"`
	// ItemsPerSecond is completed and torn down: lately while it runs, and over the
	// whole run at its end.
	ItemsPerSecond float64        `json:"items_per_second"`
	ETASeconds     float64        `json:"eta_seconds,omitempty"` // 0: not known
	Failures       []BatchFailure `json:"failures,omitempty"`    // the most frequent ones, at its end
	Concurrency    int            `json:"concurrency,omitempty"` // that was chosen, at its end
}

// BatchFailure is failures whose last line on stderr is the same but for numbers.
type BatchFailure struct {
	Verdict Verdict `json:"verdict"`
	Line    string  `json:"line"`
	Count   int64   `json:"count"`
	Example string  `json:"example"` // the first custom_id
}

// BatchErrors is a list of what ended a batch.
type BatchErrors struct {
	Object string       `json:"object"` // "list"
	Data   []BatchError `json:"data"`
}

// BatchError is one of them.
type BatchError struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}

// BatchItem is what is known of one item of a batch.
type BatchItem struct {
	CustomID string      `json:"custom_id"`
	Result   *ItemResult `json:"result"` // nil: it has none yet
	Rejected string      `json:"rejected,omitempty"`
	Line     int64       `json:"line,omitempty"` // of the input, when it was rejected
	Language string      `json:"language,omitempty"`
	Code     string      `json:"code"` // as it is in the input; a repaired one is in its attempt
	NoCode   string      `json:"no_code,omitempty"`
}

// Page is a part of a list, the newest first.
type Page[T any] struct {
	Object  string `json:"object"` // "list"
	Data    []T    `json:"data"`
	FirstID string `json:"first_id,omitempty"`
	LastID  string `json:"last_id,omitempty"` // "after" of the next page
	HasMore bool   `json:"has_more"`
}
